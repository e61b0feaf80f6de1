package prsm

import (
	"context"
	"net/url"
	"strings"
)

// AnalyticsQuery narrows a report; its zero value asks for everything.
type AnalyticsQuery struct {
	Timeframe string   // last_24_hours, last_7_days, last_30_days, all, or ISO/ISO
	Metrics   []string // such as requests and tokens
	GroupBy   []string // model, provider, key, day
}

// PerformanceQuery narrows a performance report.
type PerformanceQuery struct {
	Model     string
	Metrics   []string // such as avg_latency and p95_latency
	Timeframe string
}

// Metrics are the numbers of a report; nil where unknown or not asked for.
type Metrics struct {
	TotalRequests    *int     `json:"total_requests"`
	TotalTokens      *int     `json:"total_tokens"`
	TotalCost        *float64 `json:"total_cost"`
	UnpricedRequests *int     `json:"unpriced_requests"`
	AvgLatencyMS     *float64 `json:"avg_latency_ms"`
	P50LatencyMS     *float64 `json:"p50_latency_ms"`
	P95LatencyMS     *float64 `json:"p95_latency_ms"`
	P99LatencyMS     *float64 `json:"p99_latency_ms"`
	SuccessRate      *float64 `json:"success_rate"`
	CachedRequests   *int     `json:"cached_requests"`
}

// Group is the part of a report that shares a model, provider, key or day.
type Group struct {
	Model    string `json:"model,omitempty"`
	Provider string `json:"provider,omitempty"`
	Key      string `json:"key,omitempty"`
	Day      string `json:"day,omitempty"`
	Metrics
}

// Analytics is a report on usage.
type Analytics struct {
	Metrics
	Groups []Group `json:"groups"`
}

// Performance is a report on speed: the same numbers, and the two under their
// short names.
type Performance struct {
	Analytics
	AvgLatency *float64 `json:"avg_latency"`
	P95Latency *float64 `json:"p95_latency"`
}

// Analytics reports on what this key may see. A nil query asks for everything.
func (s *InferenceService) Analytics(ctx context.Context, query *AnalyticsQuery) (*Analytics, error) {
	values := url.Values{}
	if query != nil {
		set(values, "timeframe", query.Timeframe)
		set(values, "metrics", query.Metrics...)
		set(values, "group_by", query.GroupBy...)
	}
	report := &Analytics{}
	if err := s.core.get(ctx, withQuery("/v1/inference/analytics", values), report); err != nil {
		return nil, err
	}
	return report, nil
}

// Performance reports on speed. A nil query asks for everything.
func (s *InferenceService) Performance(ctx context.Context, query *PerformanceQuery) (*Performance, error) {
	values := url.Values{}
	if query != nil {
		set(values, "model", query.Model)
		set(values, "metrics", query.Metrics...)
		set(values, "timeframe", query.Timeframe)
	}
	report := &Performance{}
	if err := s.core.get(ctx, withQuery("/v1/inference/performance", values), report); err != nil {
		return nil, err
	}
	return report, nil
}

// set adds a comma list, if there is anything in it.
func set(values url.Values, name string, items ...string) {
	if text := strings.Join(items, ","); text != "" {
		values.Set(name, text)
	}
}

func withQuery(path string, values url.Values) string {
	if len(values) == 0 {
		return path
	}
	return path + "?" + values.Encode()
}
