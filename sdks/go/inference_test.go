package prsm

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestCreateFillsTheAnswer(t *testing.T) {
	s := serve(t, says(200, answerJSON, "X-Request-Id", "req_9", "Idempotent-Replayed", "true"))
	answer, err := s.Inference.Create(context.Background(), ask())
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "content", answer.Content, "Hello")
	equal(t, "finish reason", answer.FinishReason, "stop")
	equal(t, "id", answer.ID, "inf_1")
	equal(t, "request id", answer.RequestID, "req_9")
	equal(t, "replayed", answer.Replayed, true)
	equal(t, "created", answer.Created.Unix(), 1703521234)
	equal(t, "prompt tokens", *answer.Usage.PromptTokens, 15)
	equal(t, "cost", *answer.Cost.Amount, 0.0023)
	if answer.Usage.CompletionTokens != nil || answer.Cost.Savings != nil {
		t.Error("what is unknown must be nil")
	}
	if answer.Usage.TotalTokens == nil || *answer.Usage.TotalTokens != 0 {
		t.Error("a known 0 must stay 0")
	}
	sameJSON(t, s.bodies[0], `{"model":"m","messages":[{"role":"user","content":"Hi"}]}`)
}

func TestEveryFieldOfARequestTravels(t *testing.T) {
	s := serve(t, says(202, `{"id":"inf_2","status":"running","model":"m","created":1703521234.5}`))
	request := &InferenceRequest{
		Model: "m", Messages: nil, MaxTokens: Ptr(0), Temperature: Ptr(0.0), TopP: Ptr(0.9), Stop: []string{"."},
		Seed: Ptr(int64(1) << 60), FrequencyPenalty: Ptr(0.1), PresencePenalty: Ptr(-0.1), LogitBias: map[string]float64{"5": -1},
		Tools:      []Tool{{Type: "function", Function: ToolFunction{Name: "f", Parameters: map[string]any{"type": "object"}}}},
		ToolChoice: "auto", ParallelToolCalls: Ptr(false), Schema: map[string]any{"type": "object"}, User: "u",
		Provider: "openai", FallbackProviders: []string{"anthropic"},
		FallbackConfig: &FallbackConfig{
			Strategies:    []FallbackStrategy{{Provider: "p", Model: "n", Timeout: Ptr(5000.0)}},
			RetryAttempts: Ptr(0), BackoffMultiplier: Ptr(2.0), MidStream: "restart",
		},
		CostOptimization: false, LatencyOptimization: Ptr(true), QualityThreshold: Ptr(0.8),
		CacheConfig:   CacheConfig{Enabled: Ptr(true), TTL: Ptr(60.0), KeyStrategy: "exact_match", SimilarityThreshold: Ptr(0.9)},
		OnUnsupported: "drop", Timeout: Ptr(1.5), Extra: map[string]any{"top_k": 4}, Background: true,
	}
	answer, err := s.Inference.Create(context.Background(), request)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "status", answer.Status, "running")
	equal(t, "created", answer.Created.UnixMilli(), 1703521234500)
	if request.Messages != nil {
		t.Error("the caller's request was changed")
	}
	sameJSON(t, s.bodies[0], `{"model":"m","messages":[],"max_tokens":0,"temperature":0,"top_p":0.9,"stop":["."],
		"seed":1152921504606846976,"frequency_penalty":0.1,"presence_penalty":-0.1,"logit_bias":{"5":-1},
		"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"tool_choice":"auto",
		"parallel_tool_calls":false,"schema":{"type":"object"},"user":"u","provider":"openai","fallback_providers":["anthropic"],
		"fallback_config":{"strategies":[{"provider":"p","model":"n","timeout":5000}],"retry_attempts":0,"backoff_multiplier":2,"mid_stream":"restart"},
		"cost_optimization":false,"latency_optimization":true,"quality_threshold":0.8,
		"cache_config":{"enabled":true,"ttl":60,"key_strategy":"exact_match","similarity_threshold":0.9},
		"on_unsupported":"drop","timeout":1.5,"extra":{"top_k":4},"background":true}`)
}

func TestWhatCannotBeSentIsAnInvalidRequest(t *testing.T) {
	s := serve(t, says(200, answerJSON))
	ctx := context.Background()
	unwritable := ask()
	unwritable.Schema = make(chan int)
	for name, call := range map[string]func() error{
		"nil":      func() error { _, err := s.Inference.Create(ctx, nil); return err },
		"channel":  func() error { _, err := s.Inference.Create(ctx, unwritable); return err },
		"no id":    func() error { _, err := s.Inference.Get(ctx, ""); return err },
		"no model": func() error { _, err := s.Models.Get(ctx, ""); return err },
		"upwards":  func() error { _, err := s.Models.Get(ctx, "../keys/me"); return err },
	} {
		if err := call(); !errors.Is(err, ErrInvalidRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
	equal(t, "requests", s.count(), 0)
}

func TestGetReadsARecord(t *testing.T) {
	s := serve(t,
		says(200, `{"id":"a/b","status":"completed","created":1,"completed":2.5,"latency_ms":812.0,"result":{"content":"x","tokens":3,"cost":null}}`),
		says(200, `{"id":"c","status":"failed","completed":null,"error":{"code":"timeout","message":"slow","details":{"provider":"openai"}}}`))
	record, err := s.Inference.Get(context.Background(), "a/b?c")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "path", s.seen[0].URL.EscapedPath(), "/v1/inference/a%2Fb%3Fc")
	equal(t, "content", record.Result.Content, "x")
	equal(t, "tokens", *record.Result.Tokens, 3)
	equal(t, "completed", record.Completed.Sub(record.Created.Time), 1500*time.Millisecond)
	if record.Result.Cost != nil || record.Failure != nil {
		t.Error("null must stay nil")
	}
	record, err = s.Inference.Get(context.Background(), "c")
	if err != nil {
		t.Fatal(err)
	}
	if !errors.Is(record.Failure, ErrTimeout) || record.Failure.Provider != "openai" || !record.Completed.IsZero() {
		t.Errorf("%+v", record)
	}
}

func TestReportsModelsAndPreferences(t *testing.T) {
	report := `{"total_requests":3,"total_cost":null,"avg_latency_ms":5.5,"avg_latency":5.5,"p95_latency":9,"groups":[{"model":"m","total_requests":2}]}`
	s := serve(t, says(200, report), says(200, report), says(200, report),
		says(200, `{"object":"list","data":[{"id":"a/b","object":"model","created":1,"owned_by":"o"}]}`),
		says(200, `{"id":"a/b","created":1,"owned_by":"o"}`), says(200, `{"primary":"openai","cost_optimization":true}`))
	ctx := context.Background()
	analytics, err := s.Inference.Analytics(ctx, &AnalyticsQuery{"last_30_days", []string{"requests", "tokens"}, []string{"model"}})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "query", s.seen[0].URL.Query().Get("metrics"), "requests,tokens")
	equal(t, "requests", *analytics.TotalRequests, 3)
	equal(t, "group", *analytics.Groups[0].TotalRequests, 2)
	if analytics.TotalCost != nil {
		t.Error("an unknown cost must be nil")
	}
	if _, err := s.Inference.Analytics(ctx, nil); err != nil {
		t.Fatal(err)
	}
	equal(t, "no query", s.seen[1].URL.RawQuery, "")
	speed, err := s.Inference.Performance(ctx, &PerformanceQuery{Model: "a/b&c"})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "query", s.seen[2].URL.RawQuery, "model=a%2Fb%26c")
	equal(t, "p95", *speed.P95Latency, 9)
	equal(t, "average", *speed.AvgLatencyMS, 5.5)
	models, err := s.Models.List(ctx)
	if err != nil || len(models) != 1 || models[0].OwnedBy != "o" {
		t.Fatal(models, err)
	}
	if _, err := s.Models.Get(ctx, "a/b c"); err != nil {
		t.Fatal(err)
	}
	equal(t, "path", s.seen[4].URL.EscapedPath(), "/v1/models/a/b%20c")
	kept, err := s.Inference.ConfigureProviders(ctx, Preferences{Primary: "openai", CostOptimization: true, LatencyOptimization: Ptr(false)})
	if err != nil || kept.Primary != "openai" {
		t.Fatal(kept, err)
	}
	equal(t, "method", s.seen[5].Method, "PUT")
	sameJSON(t, s.bodies[5], `{"primary":"openai","cost_optimization":true,"latency_optimization":false}`)
}
