package prsm

import (
	"context"
	"net/http"
	"net/url"
)

// InferenceService asks models; reach it as client.Inference.
type InferenceService struct{ core *core }

// Record is what the server keeps of an inference.
type Record struct {
	ID        string        `json:"id"`
	Status    string        `json:"status"` // running, completed, failed or unknown
	Model     string        `json:"model"`
	Provider  string        `json:"provider"`
	Created   UnixTime      `json:"created"`
	Completed UnixTime      `json:"completed"` // zero while it runs
	LatencyMS *float64      `json:"latency_ms"`
	Result    *RecordResult `json:"result"` // when completed
	Failure   *Error        `json:"error"`  // when failed
}

// RecordResult is the answer in a [Record]; Cost is in USD.
type RecordResult struct {
	Content string   `json:"content"`
	Tokens  *int     `json:"tokens"`
	Cost    *float64 `json:"cost"`
}

// Preferences are the defaults of a key: what applies where a request says nothing.
type Preferences struct {
	Primary             string   `json:"primary,omitempty"`
	Fallback            []string `json:"fallback,omitempty"`
	CostOptimization    any      `json:"cost_optimization,omitempty"` // a bool or a CostOptimization
	LatencyOptimization *bool    `json:"latency_optimization,omitempty"`
	QualityThreshold    *float64 `json:"quality_threshold,omitempty"`
}

// Create asks a model and waits for the whole answer. All tries of one Create
// carry the same Idempotency-Key, so that no answer is paid for twice.
func (s *InferenceService) Create(ctx context.Context, request *InferenceRequest) (*Inference, error) {
	r, err := post("/v1/inference", request)
	if err != nil {
		return nil, err
	}
	if r.header["Idempotency-Key"], err = idempotencyKey(); err != nil {
		return nil, err
	}
	answer := &Inference{}
	header, err := s.core.do(ctx, r, answer)
	if err != nil {
		return nil, err
	}
	answer.fill()
	answer.RequestID = header.Get("X-Request-Id")
	answer.Replayed = header.Get("Idempotent-Replayed") == "true"
	return answer, nil
}

// post is a call with a request for a body, which must be there.
func post(path string, request *InferenceRequest) (*call, error) {
	if request == nil {
		return nil, invalid("the request is nil")
	}
	sent := *request
	if sent.Messages == nil {
		sent.Messages = []Message{} // null would be told as a wrong type and not as "empty"
	}
	return newCall(http.MethodPost, path, &sent)
}

// Get looks up an inference, such as one made in the background.
func (s *InferenceService) Get(ctx context.Context, id string) (*Record, error) {
	if id == "" {
		return nil, invalid("the id is empty")
	}
	record := &Record{}
	if err := s.core.get(ctx, "/v1/inference/"+url.PathEscape(id), record); err != nil {
		return nil, err
	}
	if record.Failure != nil {
		record.Failure.named()
	}
	return record, nil
}

// Providers tells the preferences of this key.
func (s *InferenceService) Providers(ctx context.Context) (*Preferences, error) {
	preferences := &Preferences{}
	if err := s.core.get(ctx, "/v1/inference/providers", preferences); err != nil {
		return nil, err
	}
	return preferences, nil
}

// ConfigureProviders sets the preferences of this key and tells them as the
// server keeps them.
func (s *InferenceService) ConfigureProviders(ctx context.Context, preferences Preferences) (*Preferences, error) {
	r, err := newCall(http.MethodPut, "/v1/inference/providers", preferences)
	if err != nil {
		return nil, err
	}
	kept := &Preferences{}
	if _, err := s.core.do(ctx, r, kept); err != nil {
		return nil, err
	}
	return kept, nil
}
