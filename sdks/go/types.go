package prsm

import (
	"encoding/json"
	"math"
	"time"
)

// Ptr is a pointer to v, for the optional numbers of a request.
func Ptr[T any](v T) *T { return &v }

// UnixTime is a time that travels as unix seconds; IsZero where it is not known.
type UnixTime struct{ time.Time }

// UnmarshalJSON takes whole seconds, fractions and null.
func (t *UnixTime) UnmarshalJSON(data []byte) error {
	var seconds *float64
	if err := json.Unmarshal(data, &seconds); err != nil {
		return err
	}
	*t = UnixTime{}
	if seconds != nil {
		whole, fraction := math.Modf(*seconds)
		t.Time = time.Unix(int64(whole), int64(fraction*1e9))
	}
	return nil
}

// MarshalJSON writes seconds, or null for the zero time.
func (t UnixTime) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	return json.Marshal(float64(t.UnixMilli()) / 1000)
}

// Message is one turn of a conversation.
type Message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
	Name    string `json:"name,omitempty"`
	// ToolCalls are the calls that an assistant's message asks for.
	ToolCalls []ToolCall `json:"tool_calls,omitempty"`
	// ToolCallID is the call that a tool's message answers.
	ToolCallID string `json:"tool_call_id,omitempty"`
}

// Tool is a function that a model may ask for.
type Tool struct {
	Type     string       `json:"type"`
	Function ToolFunction `json:"function"`
}

// ToolFunction describes a function; Parameters is its JSON schema.
type ToolFunction struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Parameters  any    `json:"parameters,omitempty"`
	Strict      *bool  `json:"strict,omitempty"`
}

// ToolCall is a call of a function; Arguments is JSON as the model wrote it.
// Only the pieces in a [Chunk] have an Index.
type ToolCall struct {
	Index    *int         `json:"index,omitempty"`
	ID       string       `json:"id,omitempty"`
	Type     string       `json:"type,omitempty"`
	Function FunctionCall `json:"function"`
}

// FunctionCall is the name and the arguments of a [ToolCall].
type FunctionCall struct {
	Name      string `json:"name,omitempty"`
	Arguments string `json:"arguments,omitempty"`
}

// InferenceRequest asks a model. Model and Messages are required; what is left
// out, the server and the provider decide.
type InferenceRequest struct {
	Model    string    `json:"model"`
	Messages []Message `json:"messages"`

	MaxTokens         *int               `json:"max_tokens,omitempty"`
	Temperature       *float64           `json:"temperature,omitempty"`
	TopP              *float64           `json:"top_p,omitempty"`
	Stop              []string           `json:"stop,omitempty"`
	Seed              *int64             `json:"seed,omitempty"`
	FrequencyPenalty  *float64           `json:"frequency_penalty,omitempty"`
	PresencePenalty   *float64           `json:"presence_penalty,omitempty"`
	LogitBias         map[string]float64 `json:"logit_bias,omitempty"`
	Tools             []Tool             `json:"tools,omitempty"`
	ToolChoice        any                `json:"tool_choice,omitempty"` // "auto", "none", "required", or an object naming one
	ParallelToolCalls *bool              `json:"parallel_tool_calls,omitempty"`
	Schema            any                `json:"schema,omitempty"` // the JSON schema that the answer must follow
	User              string             `json:"user,omitempty"`

	Provider            string          `json:"provider,omitempty"`
	FallbackProviders   []string        `json:"fallback_providers,omitempty"`
	FallbackConfig      *FallbackConfig `json:"fallback_config,omitempty"`
	CostOptimization    any             `json:"cost_optimization,omitempty"` // a bool or a CostOptimization
	LatencyOptimization *bool           `json:"latency_optimization,omitempty"`
	QualityThreshold    *float64        `json:"quality_threshold,omitempty"`
	Task                string          `json:"task,omitempty"`           // qualities measured at it come before published ones
	CacheConfig         any             `json:"cache_config,omitempty"`   // a bool or a CacheConfig
	OnUnsupported       string          `json:"on_unsupported,omitempty"` // "refuse" or "drop"
	Timeout             *float64        `json:"timeout,omitempty"`        // seconds, kept by the server
	Extra               map[string]any  `json:"extra,omitempty"`          // names that the server allows
	// Background answers at once with an ID; ask for the outcome with Get.
	Background bool `json:"background,omitempty"`
}

// FallbackConfig says what to try when the first choice fails.
type FallbackConfig struct {
	Strategies        []FallbackStrategy `json:"strategies,omitempty"`
	RetryAttempts     *int               `json:"retry_attempts,omitempty"`
	BackoffMultiplier *float64           `json:"backoff_multiplier,omitempty"`
	MidStream         string             `json:"mid_stream,omitempty"` // "stop" or "restart"
}

// FallbackStrategy is one target to fall back to.
type FallbackStrategy struct {
	Provider string   `json:"provider,omitempty"`
	Model    string   `json:"model,omitempty"`
	Timeout  *float64 `json:"timeout,omitempty"` // milliseconds
}

// CostOptimization bounds what an answer may cost, in USD.
type CostOptimization struct {
	Enabled          *bool    `json:"enabled,omitempty"`
	MaxCost          *float64 `json:"max_cost,omitempty"`
	PreferCheaper    *bool    `json:"prefer_cheaper,omitempty"`
	QualityThreshold *float64 `json:"quality_threshold,omitempty"`
}

// CacheConfig lets an earlier answer stand for a new one; TTL is in seconds.
type CacheConfig struct {
	Enabled             *bool    `json:"enabled,omitempty"`
	TTL                 *float64 `json:"ttl,omitempty"`
	KeyStrategy         string   `json:"key_strategy,omitempty"`
	SimilarityThreshold *float64 `json:"similarity_threshold,omitempty"`
	Embedder            string   `json:"embedder,omitempty"`
	Namespace           string   `json:"namespace,omitempty"`
	CrossModel          bool     `json:"cross_model,omitempty"`
	Shadow              bool     `json:"shadow,omitempty"`
	Force               bool     `json:"force,omitempty"`
}

// Usage counts tokens; nil where the provider did not say.
type Usage struct {
	PromptTokens     *int `json:"prompt_tokens"`
	CompletionTokens *int `json:"completion_tokens"`
	TotalTokens      *int `json:"total_tokens"`
}

// Cost is money; nil where no price is known.
type Cost struct {
	Amount       *float64 `json:"amount"`
	Currency     string   `json:"currency"`
	ProviderCost *float64 `json:"provider_cost"`
	Savings      *float64 `json:"savings"`
}

// Choice is one answer of a model.
type Choice struct {
	Index        int     `json:"index"`
	Message      Message `json:"message"`
	FinishReason string  `json:"finish_reason"`
}

// Inference is an answer.
type Inference struct {
	ID       string   `json:"id"`
	Created  UnixTime `json:"created"`
	Model    string   `json:"model"`
	Provider string   `json:"provider"`
	Choices  []Choice `json:"choices"`
	Usage    Usage    `json:"usage"`
	Cost     Cost     `json:"cost"`
	// Status is "running" for a request made in the background, else empty.
	Status string `json:"status,omitempty"`
	// LatencyMS, TTFTMS (to the first token) and Cached are told by streams.
	LatencyMS *float64 `json:"latency_ms,omitempty"`
	TTFTMS    *float64 `json:"ttft_ms,omitempty"`
	Cached    *bool    `json:"cached,omitempty"`

	// Content and FinishReason are those of the first choice.
	Content      string `json:"-"`
	FinishReason string `json:"-"`
	// RequestID names the request in the server's log.
	RequestID string `json:"-"`
	// Replayed tells that the server gave the answer of an earlier try again.
	Replayed bool `json:"-"`
}

// fill copies the first choice to where it is easy to reach.
func (i *Inference) fill() {
	if len(i.Choices) > 0 {
		i.Content, i.FinishReason = i.Choices[0].Message.Content, i.Choices[0].FinishReason
	}
}
