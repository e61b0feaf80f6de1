package prsm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"sync/atomic"
	"testing"
	"time"
)

func refuses(status int, headers ...string) http.HandlerFunc {
	return says(status, `{"error":{"code":"","message":"no"}}`, headers...)
}

func TestWhatIsTriedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		first http.HandlerFunc
		again bool
	}{
		"429":                         {refuses(429), true},
		"503":                         {refuses(503), true},
		"409 with Retry-After":        {refuses(409, "Retry-After", "1"), true},
		"no answer":                   {hangsUp, true},
		"409":                         {refuses(409), false},
		"500":                         {refuses(500), true},
		"502":                         {refuses(502), true},
		"504":                         {refuses(504), true},
		"501":                         {refuses(501), false},
		"400":                         {refuses(400), false},
		"401":                         {refuses(401), false},
		"402":                         {refuses(402), false},
		"an answer that is cut short": {says(200, answerJSON[:40], "Content-Length", "999"), false},
	} {
		s := serve(t, c.first, says(200, answerJSON))
		_, err := s.Inference.Create(context.Background(), ask())
		equal(t, name+" succeeds", err == nil, c.again)
		want := 1
		if c.again {
			want = 2
		}
		equal(t, name+" requests", s.count(), want)
	}
}

func TestTriesShareBodyAndIdempotencyKey(t *testing.T) {
	s := serve(t, refuses(429), hangsUp, refuses(409, "Retry-After", "0"), says(200, answerJSON))
	for n := 0; n < 2; n++ {
		if _, err := s.Inference.Create(context.Background(), ask()); err != nil {
			t.Fatal(err)
		}
	}
	equal(t, "requests", s.count(), 5)
	first := s.seen[0].Header.Get("Idempotency-Key")
	if len(first) < 30 || len(first) > 128 {
		t.Errorf("%q is no good key", first)
	}
	for n := range s.seen[:4] {
		equal(t, "key", s.seen[n].Header.Get("Idempotency-Key"), first)
		equal(t, "body", s.bodies[n], s.bodies[0])
	}
	if s.seen[4].Header.Get("Idempotency-Key") == first {
		t.Error("another Create must have another key")
	}
}

func TestRetriesEnd(t *testing.T) {
	s := serve(t, refuses(503))
	s.core.retries = 6
	_, err := s.Inference.Create(context.Background(), ask())
	if !errors.Is(err, ErrProvider) {
		t.Error(err)
	}
	second := time.Second
	want := []time.Duration{second / 2, second, 2 * second, 4 * second, 8 * second, 8 * second}
	if !reflect.DeepEqual(s.waits, want) {
		t.Errorf("waited %v, want %v", s.waits, want)
	}
	none := serve(t, refuses(503))
	none.core.retries = NewClient("k", WithMaxRetries(-1)).core.retries
	if _, err := none.Inference.Create(context.Background(), ask()); err == nil || none.count() != 1 {
		t.Error("no retries means one request")
	}
}

func TestBackoffIsFullJitterAboveTheHint(t *testing.T) {
	c := NewClient("k").core
	hinted := &Error{RetryAfter: Ptr(3 * time.Second)}
	low, high := time.Hour, time.Duration(0)
	for n := 0; n < 400; n++ {
		wait := c.backoff(1, errors.New("x"))
		if wait < low {
			low = wait
		}
		if wait > high {
			high = wait
		}
		if wait := c.backoff(5, hinted); wait < 3*time.Second || wait > longest {
			t.Fatal(wait)
		}
	}
	if low > 100*time.Millisecond || high < 900*time.Millisecond || high > time.Second {
		t.Errorf("jitter from %v to %v", low, high)
	}
	if wait := c.backoff(1000, errors.New("x")); wait < 0 || wait > longest {
		t.Error(wait)
	}
}

func TestHintsAreRead(t *testing.T) {
	now := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"": "none", "soon": "none", "NaN": "none", "0": "0s", "-5": "0s", "2": "2s", "0.25": "250ms", " 3 ": "3s", "Inf": "24h0m0s", "1e300": "24h0m0s",
		"Mon, 01 Jan 2024 00:00:10 GMT": "10s", "Sun, 31 Dec 2023 00:00:00 GMT": "0s",
	} {
		got := "none"
		if d := retryAfter(http.Header{"Retry-After": {text}}, now); d != nil {
			got = fmt.Sprint(*d)
		}
		equal(t, text, got, want)
	}
	both := http.Header{}
	both.Set("Retry-After", "1")
	both.Set("X-RateLimit-Retry-After", "9")
	equal(t, "the standard one is first", *retryAfter(both, now), time.Second)
}

func TestAHintBeyondTheDeadlineIsNotWaitedFor(t *testing.T) {
	s := serve(t, refuses(429, "Retry-After", "60"))
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_, err := s.Inference.Create(ctx, ask())
	var e *Error
	if !errors.As(err, &e) || !errors.Is(err, ErrRateLimit) || *e.RetryAfter != time.Minute {
		t.Error(err)
	}
	equal(t, "waits", len(s.waits), 0)
	s.core.timeout = 30 * time.Second // the same for the timeout of the client
	if _, err := s.Inference.Create(context.Background(), ask()); !errors.Is(err, ErrRateLimit) || len(s.waits) != 0 {
		t.Error(err, s.waits)
	}
}

func TestTheContextStopsARequestAndABackoff(t *testing.T) {
	left := make(chan struct{}, 1)
	hangs := func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done(); left <- struct{}{} }
	s := serve(t, hangs)
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(30*time.Millisecond, cancel)
	if _, err := s.Inference.Create(ctx, ask()); !errors.Is(err, context.Canceled) || errors.Is(err, ErrConnection) {
		t.Error(err)
	}
	<-left
	ctx, cancel = context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	if _, err := s.Inference.Create(ctx, ask()); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	equal(t, "requests", s.count(), 2)

	busy := serve(t, refuses(429, "Retry-After", "50"))
	busy.core.sleep = sleep
	ctx, cancel = context.WithCancel(context.Background())
	time.AfterFunc(30*time.Millisecond, cancel)
	began := time.Now()
	if _, err := busy.Inference.Create(ctx, ask()); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if time.Since(began) > 5*time.Second {
		t.Error("the back-off was not stopped")
	}
}

func TestTheTimeoutOfTheClient(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	s.core.timeout = 40 * time.Millisecond
	_, err := s.Inference.Create(context.Background(), ask())
	var e *Error
	if !errors.As(err, &e) || !errors.Is(err, ErrTimeout) || !errors.Is(err, ErrProvider) || !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	equal(t, "requests", s.count(), 1)
}

func TestNobodyThere(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	client := NewClient(testKey, WithBaseURL(server.URL), WithMaxRetries(2))
	var waits atomic.Int32
	client.core.sleep = func(context.Context, time.Duration) error { waits.Add(1); return nil }
	_, err := client.Inference.Create(context.Background(), ask())
	var operation *net.OpError
	if !errors.Is(err, ErrConnection) || !errors.As(err, &operation) {
		t.Error(err)
	}
	if _, err := client.Inference.Batch(context.Background(), make([]BatchRequest, 1), nil); !errors.Is(err, ErrConnection) {
		t.Error(err)
	}
	equal(t, "waits", waits.Load(), 4) // the batch too: it never left
}
