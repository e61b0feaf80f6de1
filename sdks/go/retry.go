package prsm

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	firstWait = 500 * time.Millisecond
	longest   = 8 * time.Second
)

type sleeper func(context.Context, time.Duration) error

// sleep waits, or stops waiting when the context ends.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return ctx.Err()
	}
}

// open sends a call until it succeeds, fails for good or has no tries left. The
// caller closes the body of the answer.
func (c *core) open(w *watch, r *call) (*http.Response, error) {
	for n := 0; ; n++ {
		failure, again := error(nil), false
		response, err := c.send(w.ctx, r)
		switch {
		case err != nil:
			failure = w.explain(err)
			again = errors.Is(failure, ErrConnection) && (r.resend || neverSent(err))
		case response.StatusCode/100 == 2:
			return response, nil
		default:
			refusal := readError(response)
			failure, again = refusal, worthRetrying(refusal, r.resend)
		}
		if !again || n >= c.retries {
			return nil, failure
		}
		wait := c.backoff(n, failure)
		if !w.hasRoom(wait) {
			return nil, failure // this error says more than the deadline would, and says it now
		}
		if err := c.sleep(w.ctx, wait); err != nil {
			return nil, w.explain(err)
		}
	}
}

// send makes one try. The body is made anew each time, because a try consumes it.
func (c *core) send(ctx context.Context, r *call) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, r.method, c.base+r.path, bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	for name, value := range r.header {
		request.Header.Set(name, value)
	}
	request.Header.Set("Authorization", "Bearer "+c.bearer())
	if c.bearer() != c.key() {
		request.Header.Set("X-API-Key", c.key())
	}
	request.Header.Set("User-Agent", userAgent)
	if r.body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	return c.http.Do(request)
}

// worthRetrying tells whether a refusal may pass. Who says 503 has not answered;
// after 500, 502 and 504 nobody knows what was done, so only what may be sent twice
// is sent again. A conflict is worth it only where the server says that it will
// pass, and a limit on tokens without a hint says that the request never fits.
func worthRetrying(e *Error, resend bool) bool {
	switch e.Status {
	case http.StatusTooManyRequests:
		return e.Details["kind"] != "tokens" || e.RetryAfter != nil
	case http.StatusServiceUnavailable:
		return true
	case http.StatusConflict:
		return e.RetryAfter != nil
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout:
		return resend
	}
	return false
}

// neverSent tells whether not one byte of the request can have left.
func neverSent(err error) bool {
	var operation *net.OpError
	return errors.As(err, &operation) && operation.Op == "dial"
}

// backoff is full jitter under a doubling bound; the server's hint is a floor.
func (c *core) backoff(n int, failure error) time.Duration {
	bound := longest
	if n < 4 { // 0.5, 1, 2, 4, then 8; a shift by a large n would overflow
		bound = firstWait << n
	}
	wait := time.Duration(c.random() * float64(bound))
	var e *Error
	if errors.As(failure, &e) && e.RetryAfter != nil && *e.RetryAfter > wait {
		return *e.RetryAfter
	}
	return wait
}

// retryAfter reads the hint as seconds or as a date; nil where there is none.
func retryAfter(header http.Header, now time.Time) *time.Duration {
	for _, name := range []string{"Retry-After", "X-RateLimit-Retry-After"} {
		text := strings.TrimSpace(header.Get(name))
		if seconds, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(seconds) {
			const day = 86400 // beyond it a hint is "do not", and a float could overflow a Duration
			seconds = math.Max(0, math.Min(seconds, day))
			return Ptr(time.Duration(seconds * float64(time.Second)))
		}
		if date, err := http.ParseTime(text); err == nil {
			wait := date.Sub(now)
			if wait < 0 {
				wait = 0
			}
			return &wait
		}
	}
	return nil
}

// randomFloat is in [0, 1). crypto/rand, because math/rand of Go 1.19 starts
// every process with the same numbers, and then all clients would wait alike.
func randomFloat() float64 {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return 0.5
	}
	return float64(binary.BigEndian.Uint64(b[:])>>11) / (1 << 53)
}

// idempotencyKey is new for each Create and the same for all of its tries.
func idempotencyKey() (string, error) {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", err
	}
	return "go-" + hex.EncodeToString(b[:]), nil
}
