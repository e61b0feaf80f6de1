// Command real uses every call of the SDK against the server in PRSM_API_URL and
// prints what came of it as JSON. tests/test_sdk_go.py runs it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/Ryno2390/PRSM/sdks/go"
)

var ctx = context.Background()

func request(text string) *prsm.InferenceRequest {
	return &prsm.InferenceRequest{
		Model: "gpt-3.5-turbo", Messages: []prsm.Message{{Role: "user", Content: text}}, MaxTokens: prsm.Ptr(150), Temperature: prsm.Ptr(0.0),
	}
}

func main() {
	client := prsm.NewClient("")
	out := map[string]any{}
	for name, use := range map[string]func(*prsm.Client) (any, error){
		"create": create, "background": background, "batch": batch, "stream": stream, "closed": closed, "models": models,
		"providers": providers, "cancel": cancel, "errors": failures,
	} {
		got, err := use(client)
		if err != nil {
			log.Fatalf("%s: %v", name, err)
		}
		out[name] = got
	}
	reports, err := analytics(client) // last, so that there is something to report
	if err != nil {
		log.Fatalf("analytics: %v", err)
	}
	out["analytics"] = reports
	out["shown"] = fmt.Sprintf("%v %+v %#v", client, client, *client)
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		log.Fatal(err)
	}
}

func create(client *prsm.Client) (any, error) {
	answer, err := client.Inference.Create(ctx, request("create"))
	if err != nil {
		return nil, err
	}
	record, err := client.Inference.Get(ctx, answer.ID)
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"content": answer.Content, "finish_reason": answer.FinishReason, "id": answer.ID, "model": answer.Model, "provider": answer.Provider,
		"request_id": answer.RequestID, "usage": answer.Usage, "cost": answer.Cost, "age": time.Since(answer.Created.Time).Seconds(),
		"record": record,
	}, nil
}

func background(client *prsm.Client) (any, error) {
	later := request("background")
	later.Background = true
	started, err := client.Inference.Create(ctx, later)
	if err != nil {
		return nil, err
	}
	for n := 0; n < 200; n++ {
		record, err := client.Inference.Get(ctx, started.ID)
		if err != nil {
			return nil, err
		}
		if record.Status != "running" {
			return map[string]any{"started": started.Status, "record": record}, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil, errors.New("it runs forever")
}

func batch(client *prsm.Client) (any, error) {
	bad := *request("bad")
	bad.Model = "no-such-model-at-all"
	result, err := client.Inference.Batch(ctx, []prsm.BatchRequest{
		{ID: "one", InferenceRequest: *request("one")}, {ID: "bad", InferenceRequest: bad}, {ID: "two", InferenceRequest: *request("two")},
	}, &prsm.BatchOptions{Parallel: 2, FallbackStrategy: "none"})
	if err != nil {
		return nil, err
	}
	items := []map[string]any{}
	for _, item := range result.Results {
		content := ""
		if item.Inference != nil {
			content = item.Inference.Content
		}
		items = append(items, map[string]any{"id": item.ID, "content": content, "error": kinds(item.Err)})
	}
	return map[string]any{"items": items, "failed": result.Failed, "usage": result.Usage, "cost": result.Cost}, nil
}

func stream(client *prsm.Client) (any, error) {
	s, err := client.Inference.Stream(ctx, request("stream"))
	if err != nil {
		return nil, err
	}
	defer s.Close()
	text := ""
	for s.Next() {
		text += s.Chunk().Content
	}
	if s.Err() != nil {
		return nil, s.Err()
	}
	result := s.Result()
	return map[string]any{"text": text, "content": result.Content, "result": result, "finish_reason": result.FinishReason}, nil
}

// closed is a stream whose reader has seen enough.
func closed(client *prsm.Client) (any, error) {
	s, err := client.Inference.Stream(ctx, request("closed"))
	if err != nil {
		return nil, err
	}
	first := s.Next()
	if err := s.Close(); err != nil {
		return nil, err
	}
	return map[string]any{"first": first, "next": s.Next(), "error": kinds(s.Err()), "text": s.Result().Content}, nil
}

func models(client *prsm.Client) (any, error) {
	all, err := client.Models.List(ctx)
	if err != nil {
		return nil, err
	}
	one, err := client.Models.Get(ctx, all[0].ID)
	if err != nil {
		return nil, err
	}
	slashed, err := client.Models.Get(ctx, "some-one/a-model") // Hugging Face's ids have slashes
	if err != nil {
		return nil, err
	}
	return map[string]any{"count": len(all), "first": all[0], "one": one, "slashed": slashed.ID}, nil
}

func providers(client *prsm.Client) (any, error) {
	before, err := client.Inference.Providers(ctx)
	if err != nil {
		return nil, err
	}
	kept, err := client.Inference.ConfigureProviders(ctx, prsm.Preferences{Primary: "openai", QualityThreshold: prsm.Ptr(0.8)})
	if err != nil {
		return nil, err
	}
	if _, err := client.Inference.ConfigureProviders(ctx, *before); err != nil {
		return nil, err
	}
	return kept, nil
}

func cancel(client *prsm.Client) (any, error) {
	early, stop := context.WithCancel(ctx)
	stop()
	_, before := client.Inference.Create(early, request("early"))
	midway, stop := context.WithCancel(ctx)
	defer stop()
	s, err := client.Inference.Stream(midway, request("midway"))
	if err != nil {
		return nil, err
	}
	defer s.Close()
	first := s.Next()
	stop()
	return map[string]any{"create": kinds(before), "first": first, "next": s.Next(), "stream": kinds(s.Err())}, nil
}

func failures(client *prsm.Client) (any, error) {
	wrong := request("wrong")
	wrong.Temperature = prsm.Ptr(99.0)
	_, invalid := client.Inference.Create(ctx, wrong)
	_, streamed := client.Inference.Stream(ctx, wrong)
	_, missing := client.Inference.Get(ctx, "inf_missing")
	_, unknown := client.Models.Get(ctx, "no-such-model")
	_, key := prsm.NewClient("pk_wrong").Models.List(ctx)
	_, nobody := prsm.NewClient("", prsm.WithBaseURL("http://127.0.0.1:1"), prsm.WithMaxRetries(0)).Models.List(ctx)
	return map[string]any{
		"invalid": kinds(invalid), "streamed": kinds(streamed), "missing": kinds(missing), "unknown": kinds(unknown), "key": kinds(key),
		"nobody": kinds(nobody),
	}, nil
}

func analytics(client *prsm.Client) (any, error) {
	report, err := client.Inference.Analytics(ctx, &prsm.AnalyticsQuery{Timeframe: "last_24_hours", GroupBy: []string{"model"}})
	if err != nil {
		return nil, err
	}
	speed, err := client.Inference.Performance(ctx, &prsm.PerformanceQuery{Model: "gpt-3.5-turbo", Timeframe: "all"})
	if err != nil {
		return nil, err
	}
	return map[string]any{"report": report, "speed": speed}, nil
}

// kinds names all that errors.Is finds, and what the Error holds.
func kinds(err error) any {
	if err == nil {
		return nil
	}
	found := []string{}
	for name, kind := range map[string]error{
		"invalid": prsm.ErrInvalidRequest, "authentication": prsm.ErrAuthentication, "not_found": prsm.ErrNotFound,
		"provider": prsm.ErrProvider, "internal": prsm.ErrInternal, "connection": prsm.ErrConnection, "canceled": context.Canceled,
	} {
		if errors.Is(err, kind) {
			found = append(found, name)
		}
	}
	told := map[string]any{"kinds": found, "text": err.Error()}
	var e *prsm.Error
	if errors.As(err, &e) {
		told["status"], told["details"], told["request_id"] = e.Status, e.Details, e.RequestID
	}
	return told
}
