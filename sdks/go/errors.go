package prsm

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// kind is a sentinel error that may be a case of another one.
type kind struct {
	name   string
	parent error
}

func (k *kind) Error() string { return "prsm: " + k.name }
func (k *kind) Unwrap() error { return k.parent }

// The kinds of failure, for errors.Is.
var (
	ErrInvalidRequest      error = &kind{name: "invalid request"}
	ErrAuthentication      error = &kind{name: "authentication failed"}
	ErrInsufficientCredits error = &kind{name: "insufficient credits"}
	// ErrBudgetExceeded is also an ErrInsufficientCredits.
	ErrBudgetExceeded error = &kind{name: "budget exceeded", parent: ErrInsufficientCredits}
	ErrNotFound       error = &kind{name: "not found"}
	ErrConflict       error = &kind{name: "conflict"}
	ErrRateLimit      error = &kind{name: "rate limit exceeded"}
	ErrInternal       error = &kind{name: "internal server error"}
	ErrProvider       error = &kind{name: "provider unavailable"}
	// ErrTimeout is also an ErrProvider.
	ErrTimeout    error = &kind{name: "timeout", parent: ErrProvider}
	ErrConnection error = &kind{name: "connection failed"}
)

// Error is a failure that the server reported, or one of the connection to it.
type Error struct {
	// Code is the server's own word, such as "rate_limit"; "connection" where no answer came.
	Code    string `json:"code"`
	Message string `json:"message"`
	// Status is the HTTP status; 0 for an item of a batch, within a stream, or without an answer.
	Status  int            `json:"-"`
	Details map[string]any `json:"details"`
	// RequestID names the request in the server's log.
	RequestID string `json:"-"`
	// Provider is the provider that failed, where one did.
	Provider string `json:"-"`
	// RetryAfter is the server's hint; nil where it gave none.
	RetryAfter *time.Duration `json:"-"`

	cause error
}

// Error tells what happened on one line.
func (e *Error) Error() string {
	text := "prsm: " + e.Message
	if e.Code != "" {
		text += " [" + e.Code + "]"
	}
	if e.RequestID != "" {
		text += " (request " + e.RequestID + ")"
	}
	return text
}

// Unwrap is the error of the connection below, if there was one.
func (e *Error) Unwrap() error { return e.cause }

// Is answers errors.Is for the sentinel kinds.
func (e *Error) Is(target error) bool {
	for k, _ := e.kind().(*kind); k != nil; k, _ = k.parent.(*kind) {
		if error(k) == target {
			return true
		}
	}
	return false
}

// kind follows the code and, where the code is new to this version, the status.
func (e *Error) kind() error {
	switch e.Code {
	case "invalid_request", "schema":
		return ErrInvalidRequest
	case "authentication":
		return ErrAuthentication
	case "insufficient_credits":
		return ErrInsufficientCredits
	case "budget_exceeded":
		return ErrBudgetExceeded
	case "not_found":
		return ErrNotFound
	case "conflict":
		return ErrConflict
	case "rate_limit":
		return ErrRateLimit
	case "internal":
		return ErrInternal
	case "provider_unavailable":
		return ErrProvider
	case "timeout":
		return ErrTimeout
	case "connection":
		return ErrConnection
	}
	return kindOfStatus(e.Status)
}

func kindOfStatus(status int) error {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return ErrAuthentication
	case status == http.StatusPaymentRequired:
		return ErrInsufficientCredits
	case status == http.StatusNotFound:
		return ErrNotFound
	case status == http.StatusConflict:
		return ErrConflict
	case status == http.StatusTooManyRequests:
		return ErrRateLimit
	case status == http.StatusRequestTimeout, status == http.StatusGatewayTimeout:
		return ErrTimeout
	case status == http.StatusBadGateway, status == http.StatusServiceUnavailable:
		return ErrProvider
	case status >= 300 && status < 500:
		return ErrInvalidRequest // a redirect too: the address given is not the server's
	}
	return ErrInternal
}

// invalid is a request that was not even sent.
func invalid(format string, args ...any) *Error {
	return &Error{Code: "invalid_request", Message: fmt.Sprintf(format, args...)}
}

// broken is an answer that came but cannot be used; what says how it is broken.
func broken(what, message string, cause error) *Error {
	return &Error{Code: "provider_unavailable", Message: message, Details: map[string]any{"kind": what}, cause: cause}
}

// named fills in what the details repeat.
func (e *Error) named() *Error {
	if provider, ok := e.Details["provider"].(string); ok {
		e.Provider = provider
	}
	return e
}

// readError turns an answer that is no success into an Error, and closes it.
func readError(response *http.Response) *Error {
	defer response.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(response.Body, 1<<20)) // a body cut short still has its status
	var document struct {
		Error *Error `json:"error"`
	}
	failure := &Error{}
	if json.Unmarshal(body, &document) == nil && document.Error != nil {
		failure = document.Error
	}
	failure.Status = response.StatusCode
	failure.RequestID = response.Header.Get("X-Request-Id")
	failure.RetryAfter = retryAfter(response.Header, time.Now())
	if failure.Message == "" {
		failure.Message = fmt.Sprintf("HTTP %d %s", response.StatusCode, http.StatusText(response.StatusCode))
		if strings.HasPrefix(response.Header.Get("Content-Type"), "text/plain") {
			if text := strings.TrimSpace(string(body)); text != "" && len(text) <= 200 {
				failure.Message += ": " + text
			}
		}
	}
	return failure.named()
}
