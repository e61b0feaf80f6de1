package prsm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

var allKinds = []error{
	ErrInvalidRequest, ErrAuthentication, ErrInsufficientCredits, ErrBudgetExceeded, ErrNotFound, ErrConflict,
	ErrRateLimit, ErrInternal, ErrProvider, ErrTimeout, ErrConnection,
}

func TestEachCodeIsItsKindAndNoOther(t *testing.T) {
	for _, c := range []struct {
		status int
		code   string
		want   []error
	}{
		{400, "invalid_request", []error{ErrInvalidRequest}},
		{400, "schema", []error{ErrInvalidRequest}},
		{401, "authentication", []error{ErrAuthentication}},
		{402, "insufficient_credits", []error{ErrInsufficientCredits}},
		{402, "budget_exceeded", []error{ErrInsufficientCredits, ErrBudgetExceeded}},
		{404, "not_found", []error{ErrNotFound}},
		{409, "conflict", []error{ErrConflict}},
		{413, "invalid_request", []error{ErrInvalidRequest}},
		{429, "rate_limit", []error{ErrRateLimit}},
		{500, "internal", []error{ErrInternal}},
		{503, "provider_unavailable", []error{ErrProvider}},
		{503, "timeout", []error{ErrProvider, ErrTimeout}},
		{503, "a_code_of_tomorrow", []error{ErrProvider}},
	} {
		body := fmt.Sprintf(`{"error":{"code":%q,"message":"because","details":{"provider":"openai","kind":"x"}}}`, c.code)
		s := serve(t, says(c.status, body, "X-Request-Id", "req_7", "X-RateLimit-Retry-After", "2.5"))
		s.core.retries = 0
		_, err := s.Inference.Create(context.Background(), ask())
		var e *Error
		if !errors.As(err, &e) {
			t.Fatalf("%s: %v", c.code, err)
		}
		onlyKinds(t, c.code, fmt.Errorf("wrapped: %w", err), c.want)
		equal(t, "code", e.Code, c.code)
		equal(t, "status", e.Status, c.status)
		equal(t, "provider", e.Provider, "openai")
		equal(t, "request id", e.RequestID, "req_7")
		equal(t, "retry after", *e.RetryAfter, 2500*time.Millisecond)
		equal(t, "detail", fmt.Sprint(e.Details["kind"]), "x")
		equal(t, "text", e.Error(), "prsm: because ["+c.code+"] (request req_7)")
	}
}

func onlyKinds(t *testing.T, name string, err error, want []error) {
	t.Helper()
	for _, kind := range allKinds {
		expected := false
		for _, w := range want {
			expected = expected || w == kind
		}
		if errors.Is(err, kind) != expected {
			t.Errorf("%s: errors.Is(%v) is %v", name, kind, !expected)
		}
	}
}

func TestABodyThatIsNoJSONIsTypedByItsStatus(t *testing.T) {
	for status, want := range map[int][]error{
		400: {ErrInvalidRequest}, 401: {ErrAuthentication}, 403: {ErrAuthentication}, 402: {ErrInsufficientCredits},
		404: {ErrNotFound}, 405: {ErrInvalidRequest}, 408: {ErrProvider, ErrTimeout}, 409: {ErrConflict}, 413: {ErrInvalidRequest},
		422: {ErrInvalidRequest}, 429: {ErrRateLimit}, 500: {ErrInternal}, 501: {ErrInternal}, 502: {ErrProvider},
		503: {ErrProvider}, 504: {ErrProvider, ErrTimeout}, 302: {ErrInvalidRequest},
	} {
		for _, body := range []string{"<html>no</html>", "", `"text"`, `{"error":"a string"}`, `{"error":null}`, `{"error":`, "[]"} {
			s := serve(t, says(status, body, "Content-Type", "text/html"))
			s.core.retries = 0
			_, err := s.Models.List(context.Background())
			onlyKinds(t, fmt.Sprint(status, body), err, want)
			if strings.Contains(err.Error(), "html") {
				t.Errorf("a page was quoted: %v", err)
			}
		}
	}
}

func TestASuccessThatIsNoAnswerIsAnError(t *testing.T) {
	for _, body := range []string{"", "<html>", "[]", `{"id":`, `{"created":"yesterday"}`} {
		s := serve(t, says(200, body))
		_, err := s.Inference.Create(context.Background(), ask())
		var e *Error
		if !errors.As(err, &e) || e.Details["kind"] != "bad_body" || !errors.Is(err, ErrProvider) {
			t.Errorf("%q: %v", body, err)
		}
		equal(t, "requests", s.count(), 1)
	}
}

func TestAnErrorThatIsMadeByHandHasAKind(t *testing.T) {
	if !errors.Is(&Error{Code: "rate_limit"}, ErrRateLimit) || !errors.Is(&Error{Status: 404}, ErrNotFound) || !errors.Is(&Error{Code: "schema"}, ErrInvalidRequest) {
		t.Error("callers who fake errors in their tests need this")
	}
}
