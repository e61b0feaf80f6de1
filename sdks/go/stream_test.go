package prsm

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

const (
	once = `data: {"id":"inf_3","object":"inference.delta","choices":[{"delta":{"content":"Once"}}]}` + "\n\n"
	upon = `data: {"id":"inf_3","object":"inference.delta","choices":[{"delta":{"content":" upon"}}]}` + "\n\n"
	over = `data: {"id":"inf_3","object":"inference.completed","model":"m","provider":"openai","choices":[{"delta":{},"finish_reason":"stop"}],` +
		`"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3},"cost":{"amount":null,"currency":"USD"},"latency_ms":812.0,"ttft_ms":40.1,"cached":false}` + "\n\n"
	done = "data: [DONE]\n\n"
)

// streams sends text as a stream and ends it in good order.
func streams(text ...string) http.HandlerFunc {
	return says(200, strings.Join(text, ""), "Content-Type", "text/event-stream; charset=utf-8", "X-Request-Id", "req_5")
}

func opened(t *testing.T, s *spy) *Stream {
	t.Helper()
	stream, err := s.Inference.Stream(context.Background(), ask())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stream.Close() })
	return stream
}

func drain(stream *Stream) (text string) {
	for stream.Next() {
		text += stream.Chunk().Content
	}
	return text
}

func TestAStreamIsReadToItsEnd(t *testing.T) {
	s := serve(t, streams(": hello\n\n", once, ": heartbeat\n\n", upon, over, done, "data: never read\n\n"))
	stream := opened(t, s)
	equal(t, "text", drain(stream), "Once upon")
	if stream.Err() != nil || stream.Next() || stream.Close() != nil {
		t.Error(stream.Err())
	}
	result := stream.Result()
	equal(t, "content", result.Content, "Once upon")
	equal(t, "choice", result.Choices[0].Message.Content, "Once upon")
	equal(t, "finish reason", result.FinishReason, "stop")
	equal(t, "id", result.ID+result.Model+result.Provider+result.RequestID, "inf_3mopenaireq_5")
	equal(t, "tokens", *result.Usage.TotalTokens, 3)
	equal(t, "latency", *result.LatencyMS, 812)
	equal(t, "cached", *result.Cached, false)
	if result.Cost.Amount != nil {
		t.Error("an unknown cost must be nil")
	}
	equal(t, "accept", s.seen[0].Header.Get("Accept"), "text/event-stream")
	sameJSON(t, s.bodies[0], `{"model":"m","messages":[{"role":"user","content":"Hi"}]}`)
}

func TestAStreamThatEndsEarly(t *testing.T) {
	drop := func(w http.ResponseWriter, r *http.Request) {
		streams(once)(w, r)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		text    string
	}{
		"in good order":    {streams(once, upon), "Once upon"},
		"after completion": {streams(once, over), "Once"},
		"within an event":  {streams(once, strings.TrimSpace(upon)), "Once"},
		"within the end":   {streams(once, "data: [DO"), "Once"},
		"by a broken line": {drop, "Once"},
		"at once":          {streams(), ""},
	} {
		s := serve(t, c.handler)
		stream := opened(t, s)
		equal(t, name, drain(stream), c.text)
		var e *Error
		if !errors.As(stream.Err(), &e) || !errors.Is(e, ErrProvider) || e.Details["kind"] != "truncated" || e.RequestID != "req_5" {
			t.Errorf("%s: %v", name, stream.Err())
		}
		equal(t, name+": partial text", stream.Result().Content, c.text)
		equal(t, name+": requests", s.count(), 1)
	}
}

func TestAFaultWithinAStream(t *testing.T) {
	fault := "event: error\ndata: " + `{"error":{"code":"timeout","message":"slow","details":{"provider":"openai","kind":"idle"}}}` + "\n\n"
	stream := opened(t, serve(t, streams(once, fault)))
	equal(t, "text", drain(stream), "Once")
	var e *Error
	if !errors.As(stream.Err(), &e) || !errors.Is(e, ErrTimeout) || e.Provider != "openai" || e.RequestID != "req_5" {
		t.Error(stream.Err())
	}
	equal(t, "partial text", stream.Result().Content, "Once")
	for _, junk := range []string{"data: {\n\n", "data: []\n\n", "event: error\ndata: {}\n\n"} {
		stream := opened(t, serve(t, streams(once, junk, done)))
		drain(stream)
		if !errors.As(stream.Err(), &e) || e.Details["kind"] != "bad_event" {
			t.Errorf("%q: %v", junk, stream.Err())
		}
	}
}

func TestAFaultBeforeAStream(t *testing.T) {
	s := serve(t, refuses(503), streams(once, done))
	equal(t, "text after another try", drain(opened(t, s)), "Once")
	if _, err := serve(t, refuses(401)).Inference.Stream(context.Background(), ask()); !errors.Is(err, ErrAuthentication) {
		t.Error(err)
	}
	if _, err := serve(t, says(200, "<html>")).Inference.Stream(context.Background(), ask()); !errors.Is(err, ErrProvider) {
		t.Error(err)
	}
	if _, err := s.Inference.Stream(context.Background(), nil); !errors.Is(err, ErrInvalidRequest) {
		t.Error(err)
	}
}

func TestRestartVoidsTheTextAndToolCallsAreJoined(t *testing.T) {
	delta := func(inner string) string { return `data: {"choices":[{"delta":{` + inner + `}}]}` + "\n\n" }
	s := serve(t, streams(once, delta(`"tool_calls":[{"index":0,"id":"old","function":{"name":"x"}}]`), delta(`"restart":"anthropic"`),
		delta(`"reasoning":"hm"`), delta(`"content":"New"`),
		delta(`"tool_calls":[{"index":0,"id":"c1","function":{"name":"f","arguments":"{\"a"}}]`),
		delta(`"tool_calls":[{"index":1,"id":"c2","function":{"name":"g","arguments":"{}"}}]`),
		delta(`"content":null,"tool_calls":[{"index":0,"function":{"arguments":"\":1}"}}]`), over, done))
	stream := opened(t, s)
	var restarts, reasoning string
	for stream.Next() {
		restarts += stream.Chunk().Restart
		reasoning += stream.Chunk().Reasoning
	}
	equal(t, "restarts", restarts, "anthropic")
	equal(t, "reasoning", reasoning, "hm")
	equal(t, "content", stream.Result().Content, "New")
	calls := stream.Result().Choices[0].Message.ToolCalls
	if stream.Err() != nil || len(calls) != 2 {
		t.Fatal(stream.Err(), calls)
	}
	equal(t, "first", calls[0].ID+calls[0].Function.Name+calls[0].Function.Arguments, `c1f{"a":1}`)
	if calls[0].Index != nil || stream.result.Choices[0].Message.ToolCalls[0].Index == nil {
		t.Error("a whole call has no index, and taking it must not disturb the stream")
	}
	equal(t, "second", calls[1].ID+calls[1].Function.Name, "c2g")
}

// drips sends a chunk, then waits until the client has gone and tells so.
func drips(left chan<- struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		streams(once)(w, r)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		left <- struct{}{}
	}
}

func gone(t *testing.T, left <-chan struct{}) {
	t.Helper()
	select {
	case <-left:
	case <-time.After(5 * time.Second):
		t.Fatal("the server still works")
	}
}

func TestCloseStopsTheServer(t *testing.T) {
	left := make(chan struct{}, 1)
	stream := opened(t, serve(t, drips(left)))
	if !stream.Next() {
		t.Fatal(stream.Err())
	}
	time.AfterFunc(30*time.Millisecond, func() { stream.Close() }) // from another goroutine, while Next waits
	if stream.Next() || stream.Err() != nil {
		t.Error("closing is no error:", stream.Err())
	}
	gone(t, left)
	equal(t, "text so far", stream.Result().Content, "Once")
	if stream.w.ctx.Err() == nil {
		t.Error("the request is not ended")
	}
	if stream.Close() != nil {
		t.Error("a second Close must do nothing")
	}
}

func TestTheContextStopsAStream(t *testing.T) {
	left := make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(context.Background())
	stream, err := serve(t, drips(left)).Inference.Stream(ctx, ask())
	if err != nil || !stream.Next() {
		t.Fatal(err)
	}
	time.AfterFunc(30*time.Millisecond, cancel)
	if stream.Next() || !errors.Is(stream.Err(), context.Canceled) {
		t.Error(stream.Err())
	}
	gone(t, left)
	equal(t, "text so far", stream.Result().Content, "Once")

	ctx, cancel = context.WithCancel(context.Background())
	stream, err = serve(t, streams(once, upon, over, done)).Inference.Stream(ctx, ask())
	if err != nil || !stream.Next() {
		t.Fatal(err)
	}
	cancel()
	if stream.Next() || !errors.Is(stream.Err(), context.Canceled) {
		t.Error("what is in the buffer must not be handed on:", stream.Err())
	}
}

func TestTheTimeoutOfAStreamIsForSilenceOnly(t *testing.T) {
	slowly := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for n := 0; n < 8; n++ { // heartbeats for longer than the timeout
			_, _ = io.WriteString(w, ": heartbeat\n\n")
			w.(http.Flusher).Flush()
			time.Sleep(100 * time.Millisecond)
		}
		_, _ = io.WriteString(w, once+done)
	}
	s := serve(t, slowly)
	s.core.timeout = 500 * time.Millisecond
	stream := opened(t, s)
	equal(t, "text", drain(stream), "Once")
	if stream.Err() != nil {
		t.Error(stream.Err())
	}
	left := make(chan struct{}, 1)
	s = serve(t, drips(left))
	s.core.timeout = 100 * time.Millisecond
	stream = opened(t, s)
	equal(t, "text", drain(stream), "Once")
	if !errors.Is(stream.Err(), ErrTimeout) {
		t.Error(stream.Err())
	}
	gone(t, left)
}
