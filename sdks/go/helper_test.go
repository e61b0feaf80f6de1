package prsm

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

const testKey = "pk_very_secret_0123456789"

// spy is a server that keeps what it was sent, and a client that does not
// really wait but keeps how long it would have.
type spy struct {
	*Client
	url string

	mu     sync.Mutex
	seen   []*http.Request
	bodies []string
	waits  []time.Duration
}

// serve answers the nth request with the nth handler, and the last one ever after.
func serve(t *testing.T, handlers ...http.HandlerFunc) *spy {
	t.Helper()
	s := &spy{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		n := len(s.seen)
		s.seen, s.bodies = append(s.seen, r), append(s.bodies, string(body))
		s.mu.Unlock()
		if n >= len(handlers) {
			n = len(handlers) - 1
		}
		handlers[n](w, r)
	}))
	t.Cleanup(server.Close)
	s.url = server.URL
	s.Client = NewClient(testKey, WithBaseURL(server.URL))
	s.core.random = func() float64 { return 1 }
	s.core.sleep = func(ctx context.Context, d time.Duration) error {
		s.waits = append(s.waits, d)
		return ctx.Err()
	}
	return s
}

// count is how many requests came.
func (s *spy) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}

// says answers with a status, a body and headers ("Name", "value", …).
func says(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for n := 0; n+1 < len(headers); n += 2 {
			w.Header().Set(headers[n], headers[n+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// hangsUp closes the connection without an answer.
func hangsUp(w http.ResponseWriter, _ *http.Request) {
	connection, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		connection.Close()
	}
}

const answerJSON = `{"id":"inf_1","object":"inference","created":1703521234,"model":"m","provider":"openai",
"choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],
"usage":{"prompt_tokens":15,"completion_tokens":null,"total_tokens":0},
"cost":{"amount":0.0023,"currency":"USD","provider_cost":null,"savings":null}}`

func ask() *InferenceRequest {
	return &InferenceRequest{Model: "m", Messages: []Message{{Role: "user", Content: "Hi"}}}
}

// sameJSON compares two documents whatever their order and spaces.
func sameJSON(t *testing.T, got, want string) {
	t.Helper()
	var a, b any
	if err := json.Unmarshal([]byte(got), &a); err != nil {
		t.Fatalf("not JSON: %v: %s", err, got)
	}
	if err := json.Unmarshal([]byte(want), &b); err != nil {
		t.Fatal(err)
	}
	left, _ := json.Marshal(a)
	right, _ := json.Marshal(b)
	if string(left) != string(right) {
		t.Errorf("got  %s\nwant %s", left, right)
	}
}

// equal fails the test where got is not want.
func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}
