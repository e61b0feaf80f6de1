package prsm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// mostBody bounds an answer that is kept in memory.
const mostBody = 256 << 20

// call is one request to the API, as often as it must be sent.
type call struct {
	method, path string
	body         []byte
	header       map[string]string
	// resend allows another try although the first may have reached the server.
	resend bool
}

// newCall makes a call; payload nil is no body.
func newCall(method, path string, payload any) (*call, error) {
	r := &call{method: method, path: path, header: map[string]string{"Accept": "application/json"}, resend: true}
	if payload == nil {
		return r, nil
	}
	body, err := json.Marshal(payload)
	if err != nil {
		return nil, &Error{Code: "invalid_request", Message: "the request cannot be written as JSON: " + err.Error(), cause: err}
	}
	r.body = body
	return r, nil
}

// ready tells what is wrong before anything is sent.
func (c *core) ready() error {
	if c.baseErr != nil {
		return c.baseErr
	}
	key := c.key()
	if key == "" {
		return &Error{Code: "authentication", Message: "no key: set PRSM_API_KEY or give one to NewClient"}
	}
	if strings.IndexFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) >= 0 {
		return &Error{Code: "authentication", Message: "the key holds characters that no header can carry"}
	}
	return nil
}

// do sends a call and decodes its JSON answer into out.
func (c *core) do(ctx context.Context, r *call, out any) (http.Header, error) {
	if err := c.ready(); err != nil {
		return nil, err
	}
	w := c.watch(ctx)
	defer w.stop()
	response, err := c.open(w, r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, mostBody+1))
	if err != nil {
		return nil, w.explain(err)
	}
	if len(body) > mostBody {
		return nil, broken("too_large", "the answer is larger than 256 MB", nil)
	}
	if err := json.Unmarshal(body, out); err != nil {
		e := broken("bad_body", "the answer is not the JSON that was expected: "+err.Error(), err)
		e.Status, e.RequestID = response.StatusCode, response.Header.Get("X-Request-Id")
		return nil, e
	}
	return response.Header, nil
}

// get is do for a GET.
func (c *core) get(ctx context.Context, path string, out any) error {
	r, err := newCall(http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	_, err = c.do(ctx, r, out)
	return err
}

// watch ends a call that takes too long. A context deadline would do for plain
// calls, but a stream must be able to move it, which contexts cannot.
type watch struct {
	parent, ctx context.Context
	cancel      context.CancelFunc
	timeout     time.Duration
	started     time.Time
	timer       *time.Timer
	fired       atomic.Bool
}

func (c *core) watch(parent context.Context) *watch {
	ctx, cancel := context.WithCancel(parent)
	w := &watch{parent: parent, ctx: ctx, cancel: cancel, timeout: c.timeout, started: time.Now()}
	if w.timeout > 0 {
		w.timer = time.AfterFunc(w.timeout, func() {
			w.fired.Store(true)
			cancel()
		})
	}
	return w
}

// touch starts the time anew, because something came.
func (w *watch) touch() {
	if w.timer != nil && !w.fired.Load() {
		w.timer.Reset(w.timeout)
	}
}

// stop gives everything back and ends the request if it still runs.
func (w *watch) stop() {
	if w.timer != nil {
		w.timer.Stop()
	}
	w.cancel()
}

// hasRoom tells whether waiting so long leaves any time at all.
func (w *watch) hasRoom(wait time.Duration) bool {
	end := time.Now().Add(wait)
	if deadline, ok := w.parent.Deadline(); ok && !end.Before(deadline) {
		return false
	}
	return w.timeout <= 0 || end.Before(w.started.Add(w.timeout))
}

// explain tells whose doing an error was: the caller's context, the timeout of
// the client, or the connection.
func (w *watch) explain(err error) error {
	if ended := w.parent.Err(); ended != nil {
		return fmt.Errorf("prsm: %w", ended)
	}
	// A dial gives up at the deadline by its own clock, maybe just before the context does.
	if deadline, ok := w.parent.Deadline(); ok && !time.Now().Before(deadline) {
		return fmt.Errorf("prsm: %w", context.DeadlineExceeded)
	}
	if w.fired.Load() {
		return &Error{
			Code: "timeout", Message: fmt.Sprintf("nothing came within %v", w.timeout),
			Details: map[string]any{"kind": "client_timeout"}, cause: context.DeadlineExceeded,
		}
	}
	return &Error{Code: "connection", Message: err.Error(), cause: err}
}

// reader reads a body for as long as something keeps coming.
type reader struct {
	body io.Reader
	w    *watch
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	if n > 0 {
		r.w.touch()
	}
	return n, err
}

// ended tells whether an error of a read is the caller's or the timeout's doing
// and not the connection's.
func (w *watch) ended(err error) (error, bool) {
	explained := w.explain(err)
	return explained, !errors.Is(explained, ErrConnection)
}
