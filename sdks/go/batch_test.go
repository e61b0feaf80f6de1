package prsm

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
)

const (
	lineOne  = `{"index":0,"id":"one","status":"completed","inference":` + "\x00" + `}` + "\n"
	lineTwo  = `{"index":1,"id":"two","status":"failed","error":{"code":"timeout","message":"slow","details":{"provider":"openai"}}}` + "\n"
	lineDone = `{"object":"batch.done","failed":1,"cost":{"amount":0.5,"currency":"USD"},"usage":{"total_tokens":7}}` + "\n"
)

func lines(text ...string) http.HandlerFunc {
	body := strings.ReplaceAll(strings.Join(text, ""), "\x00", strings.ReplaceAll(answerJSON, "\n", ""))
	return says(200, body, "Content-Type", "application/x-ndjson")
}

func two() []BatchRequest { return []BatchRequest{{"one", *ask()}, {"two", *ask()}} }

func TestABatchComesInTheOrderOfItsRequests(t *testing.T) {
	whole := strings.ReplaceAll(`{"object":"batch","results":[{"id":"one","inference":`+answerJSON+`},`+
		`{"id":"two","error":{"code":"timeout","message":"slow","details":{"provider":"openai"}}}],`+
		`"usage":{"total_tokens":7},"cost":{"amount":0.5,"currency":"USD"},"failed":1}`, "\n", "")
	for name, handler := range map[string]http.HandlerFunc{
		"as they come": lines(lineTwo, lineOne, lineDone), "as one document": says(200, whole),
	} {
		s := serve(t, handler)
		batch, err := s.Inference.Batch(context.Background(), two(), &BatchOptions{Parallel: false, FallbackStrategy: "none"})
		if err != nil {
			t.Fatal(name, err)
		}
		equal(t, name, batch.Results[0].Inference.Content, "Hello")
		var e *Error
		if !errors.As(batch.Results[1].Err, &e) || !errors.Is(e, ErrTimeout) || e.Provider != "openai" || batch.Results[0].Err != nil {
			t.Error(name, batch.Results)
		}
		equal(t, name, batch.Results[1].ID, "two")
		equal(t, name, batch.Failed, 1)
		equal(t, name, *batch.Usage.TotalTokens, 7)
		equal(t, name, *batch.Cost.Amount, 0.5)
		sameJSON(t, s.bodies[0], `{"requests":[{"id":"one","model":"m","messages":[{"role":"user","content":"Hi"}]},
			{"id":"two","model":"m","messages":[{"role":"user","content":"Hi"}]}],"parallel":false,"fallback_strategy":"none"}`)
	}
}

func TestABatchThatBreaksKeepsWhatCame(t *testing.T) {
	drop := func(w http.ResponseWriter, r *http.Request) {
		lines(lineOne)(w, r)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	for name, handler := range map[string]http.HandlerFunc{
		"no end": lines(lineOne), "a broken line": drop, "within a line": lines(lineOne, lineTwo[:30]),
		"a result too few": lines(lineOne, lineDone), "junk": lines(lineOne, "junk"),
		"an error": lines(lineOne, `{"error":{"code":"provider_unavailable","message":"down"}}`),
	} {
		s := serve(t, handler)
		batch, err := s.Inference.Batch(context.Background(), two(), nil)
		if !errors.Is(err, ErrProvider) {
			t.Errorf("%s: %v", name, err)
		}
		equal(t, name, batch.Results[0].Inference.Content, "Hello")
		if batch.Results[1].Err != err || batch.Failed != 1 || batch.Results[1].ID != "two" {
			t.Errorf("%s: %+v", name, batch)
		}
		equal(t, name+": requests", s.count(), 1)
	}
}

func TestABatchIsNotPaidTwice(t *testing.T) {
	s := serve(t, hangsUp, lines(lineOne, lineTwo, lineDone))
	if _, err := s.Inference.Batch(context.Background(), two(), nil); !errors.Is(err, ErrConnection) || s.count() != 1 {
		t.Error("it may have reached the server:", err)
	}
	s = serve(t, refuses(429), lines(lineOne, lineTwo, lineDone))
	if _, err := s.Inference.Batch(context.Background(), two(), nil); err != nil {
		t.Error("a refusal is safe to try again:", err)
	}
	if batch, err := s.Inference.Batch(context.Background(), nil, nil); err != nil || len(batch.Results) != 0 || s.count() != 2 {
		t.Error("an empty batch needs no server:", err)
	}
}

func TestTheContextStopsABatch(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		lines(lineOne)(w, r)
		w.(http.Flusher).Flush()
		cancel()
		<-r.Context().Done()
	})
	_, err := s.Inference.Batch(ctx, two(), nil)
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
