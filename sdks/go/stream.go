package prsm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
)

// Chunk is a piece of an answer on its way.
type Chunk struct {
	Content   string
	Reasoning string
	// ToolCalls are pieces of calls; those with the same Index belong together.
	ToolCalls []ToolCall
	// Restart, if not empty, names what the answer starts over with: the text so far is void.
	Restart      string
	FinishReason string
}

// Stream is an answer on its way:
//
//	for stream.Next() {
//		fmt.Print(stream.Chunk().Content)
//	}
//	if err := stream.Err(); err != nil { … }
//
// Always Close a stream; it stops the server's work if that still goes on.
type Stream struct {
	w        *watch
	response *http.Response
	events   *sse
	chunk    Chunk
	text     strings.Builder
	result   Inference
	err      error
	finished bool
	closed   atomic.Bool
}

// streamData is the data of any event of a stream.
type streamData struct {
	Inference
	Choices []struct {
		Delta struct {
			Content   string     `json:"content"`
			Reasoning string     `json:"reasoning"`
			ToolCalls []ToolCall `json:"tool_calls"`
			Restart   string     `json:"restart"`
		} `json:"delta"`
		FinishReason string `json:"finish_reason"`
	} `json:"choices"`
	Object string `json:"object"`
	Error  *Error `json:"error"`
}

// Stream asks a model and hands on the answer as it comes. It is tried again
// only until the server begins to answer, never after.
func (s *InferenceService) Stream(ctx context.Context, request *InferenceRequest) (*Stream, error) {
	r, err := post("/v1/inference/stream", request)
	if err != nil {
		return nil, err
	}
	r.header["Accept"] = "text/event-stream"
	r.header["Accept-Encoding"] = "identity" // a proxy that compresses holds tokens back
	if err := s.core.ready(); err != nil {
		return nil, err
	}
	w := s.core.watch(ctx)
	response, err := s.core.open(w, r)
	if err != nil {
		w.stop()
		return nil, err
	}
	if kind := response.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/event-stream") {
		response.Body.Close()
		w.stop()
		return nil, broken("bad_body", fmt.Sprintf("the answer is %q and not a stream", kind), nil)
	}
	w.touch()
	stream := &Stream{w: w, response: response, events: newSSE(&reader{response.Body, w})}
	stream.result.RequestID = response.Header.Get("X-Request-Id")
	return stream, nil
}

// Next waits for the next chunk. It is false at the end, after an error and
// after Close; Err tells which.
func (s *Stream) Next() bool {
	s.chunk = Chunk{}
	for !s.finished && !s.closed.Load() {
		if ended := s.w.parent.Err(); ended != nil { // also before what is still in the buffer
			s.fail(fmt.Errorf("prsm: %w", ended))
			return false
		}
		next, err := s.events.next()
		if err != nil {
			s.fail(s.whyEnded(err))
			return false
		}
		if next.data == "[DONE]" {
			s.finish()
			return false
		}
		var data streamData
		if err := json.Unmarshal([]byte(next.data), &data); err != nil {
			s.fail(broken("bad_event", "an event of the stream cannot be read: "+err.Error(), err))
			return false
		}
		if data.Error != nil || next.name == "error" {
			s.fail(s.reported(data.Error))
			return false
		}
		if s.take(&data) {
			return true
		}
	}
	s.finish()
	return false
}

// reported is the error of an error event.
func (s *Stream) reported(e *Error) error {
	if e == nil {
		e = broken("bad_event", "the server reported an error and did not say which", nil)
	}
	e.RequestID = s.result.RequestID
	return e.named()
}

// whyEnded is the error of an input that ended before [DONE]; nil after Close.
func (s *Stream) whyEnded(err error) error {
	if s.closed.Load() {
		return nil
	}
	if explained, other := s.w.ended(err); other {
		return explained
	}
	e := broken("truncated", "the stream ended before it was complete", err)
	if errors.Is(err, errEventTooLarge) {
		e = broken("too_large", err.Error(), err)
	}
	e.RequestID, e.Provider = s.result.RequestID, s.result.Provider
	return e
}

// take adds an event to the result; true if it made a chunk worth handing on.
func (s *Stream) take(data *streamData) bool {
	s.learn(data)
	if len(data.Choices) == 0 {
		return false
	}
	choice := data.Choices[0]
	delta := choice.Delta
	s.chunk = Chunk{delta.Content, delta.Reasoning, delta.ToolCalls, delta.Restart, choice.FinishReason}
	message := s.message()
	if delta.Restart != "" {
		s.text.Reset()
		message.ToolCalls = nil
	}
	s.text.WriteString(delta.Content)
	for _, piece := range delta.ToolCalls {
		message.ToolCalls = join(message.ToolCalls, piece)
	}
	if choice.FinishReason != "" {
		s.result.Choices[0].FinishReason = choice.FinishReason
	}
	return true
}

// learn copies what only some events tell.
func (s *Stream) learn(data *streamData) {
	text := func(into *string, from string) {
		if from != "" {
			*into = from
		}
	}
	text(&s.result.ID, data.ID)
	text(&s.result.Model, data.Model)
	text(&s.result.Provider, data.Provider)
	if !data.Created.IsZero() {
		s.result.Created = data.Created
	}
	if data.Object == "inference.completed" {
		s.result.Usage, s.result.Cost = data.Usage, data.Cost
		s.result.LatencyMS, s.result.TTFTMS, s.result.Cached = data.LatencyMS, data.TTFTMS, data.Cached
	}
}

// message is the one message that the stream builds up.
func (s *Stream) message() *Message {
	if s.result.Choices == nil {
		s.result.Choices = []Choice{{Message: Message{Role: "assistant"}}}
	}
	return &s.result.Choices[0].Message
}

// join adds a piece of a tool call to the call that it continues.
func join(calls []ToolCall, piece ToolCall) []ToolCall {
	for n := range calls {
		known := &calls[n]
		if piece.Index != nil && known.Index != nil && *piece.Index == *known.Index {
			if piece.ID != "" {
				known.ID = piece.ID
			}
			known.Function.Name += piece.Function.Name
			known.Function.Arguments += piece.Function.Arguments
			return calls
		}
	}
	return append(calls, piece)
}

// whole is a copy of calls without their indexes, which only pieces have: so the
// message can be sent back as a turn of the conversation.
func whole(calls []ToolCall) []ToolCall {
	copied := append([]ToolCall(nil), calls...)
	for n := range copied {
		copied[n].Index = nil
	}
	return copied
}

// Chunk is what the last Next found.
func (s *Stream) Chunk() Chunk { return s.chunk }

// Err is why the stream ended early; nil if it was complete or was closed.
func (s *Stream) Err() error { return s.err }

// Result is the answer as far as it has come: all of it once Next is false and
// Err is nil, the partial text after an error.
func (s *Stream) Result() *Inference {
	answer := s.result
	if len(s.result.Choices) > 0 {
		answer.Choices = append([]Choice(nil), s.result.Choices...)
		message := &answer.Choices[0].Message
		message.Content, message.ToolCalls = s.text.String(), whole(message.ToolCalls)
		answer.fill()
	}
	return &answer
}

func (s *Stream) fail(err error) {
	s.err = err
	s.finish()
}

// finish ends the reading: the connection is given back.
func (s *Stream) finish() {
	s.finished = true
	_ = s.Close()
}

// Close ends the stream, and with it the server's work. It may be called more
// than once, and from another goroutine than Next.
func (s *Stream) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	s.w.stop() // first, so that closing does not wait for the rest of the answer
	return s.response.Body.Close()
}
