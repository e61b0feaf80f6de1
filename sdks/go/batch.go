package prsm

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
)

// BatchRequest is one request of a batch. The ID, if given, comes back with its answer.
type BatchRequest struct {
	ID string `json:"id,omitempty"`
	InferenceRequest
}

// BatchOptions apply to a whole batch.
type BatchOptions struct {
	Parallel         any    // true, false, or how many at once
	FallbackStrategy string // best_available, cheapest, fastest or none
}

// BatchItem is the outcome of one request: an answer, or Err.
type BatchItem struct {
	ID        string
	Inference *Inference
	Err       error
}

// BatchResult holds the outcomes in the order of the requests.
type BatchResult struct {
	Results []BatchItem
	Usage   Usage
	Cost    Cost
	// Failed counts the results that have an Err.
	Failed int
}

// batchEntry is one result, or the whole batch, as it stands in the answer.
type batchEntry struct {
	Object    string       `json:"object"`
	Index     *int         `json:"index"`
	ID        string       `json:"id"`
	Inference *Inference   `json:"inference"`
	Error     *Error       `json:"error"`
	Results   []batchEntry `json:"results"`
	Usage     Usage        `json:"usage"`
	Cost      Cost         `json:"cost"`
}

// Batch asks many things at once. A request that fails has its own Err; the
// error of Batch is about the batch as a whole. If the connection breaks on the
// way, Batch returns that error together with what had come until then, and
// each missing result has the same error.
func (s *InferenceService) Batch(ctx context.Context, requests []BatchRequest, options *BatchOptions) (*BatchResult, error) {
	if len(requests) == 0 {
		return &BatchResult{}, nil
	}
	var body struct {
		Requests         []BatchRequest `json:"requests"`
		Parallel         any            `json:"parallel,omitempty"`
		FallbackStrategy string         `json:"fallback_strategy,omitempty"`
	}
	body.Requests = requests
	if options != nil {
		body.Parallel, body.FallbackStrategy = options.Parallel, options.FallbackStrategy
	}
	r, err := newCall(http.MethodPost, "/v1/inference/batch", &body)
	if err != nil {
		return nil, err
	}
	// One line per result as it is ready: a batch that breaks keeps what was paid for.
	r.header["Accept"] = "application/x-ndjson, application/json;q=0.5"
	r.resend = false // a batch has no idempotency key: sent twice, it is paid twice
	if err := s.core.ready(); err != nil {
		return nil, err
	}
	w := s.core.watch(ctx)
	defer w.stop()
	response, err := s.core.open(w, r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	w.touch()
	result, err := readBatch(&reader{response.Body, w}, requests)
	if err == nil {
		return result, nil
	}
	if explained, other := w.ended(err); other {
		err = explained
	}
	result.abandon(err)
	return result, err
}

// readBatch reads results line by line, or all of them as one document.
func readBatch(body io.Reader, requests []BatchRequest) (*BatchResult, error) {
	result := &BatchResult{Results: make([]BatchItem, len(requests))}
	for n, request := range requests {
		result.Results[n].ID = request.ID
	}
	decoder := json.NewDecoder(body)
	for {
		var entry batchEntry
		if err := decoder.Decode(&entry); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return result, broken("truncated", "the batch ended before its last result", err)
			}
			return result, broken("bad_body", "the batch cannot be read: "+err.Error(), err)
		}
		switch {
		case entry.Object == "batch":
			for n := range entry.Results {
				result.take(n, &entry.Results[n])
			}
			fallthrough
		case entry.Object == "batch.done":
			result.Usage, result.Cost = entry.Usage, entry.Cost
			return result, result.complete()
		case entry.Index != nil:
			result.take(*entry.Index, &entry)
		case entry.Error != nil:
			return result, entry.Error.named()
		}
	}
}

// take puts a result where it belongs.
func (b *BatchResult) take(n int, entry *batchEntry) {
	if n < 0 || n >= len(b.Results) {
		return
	}
	item := &b.Results[n]
	if entry.ID != "" {
		item.ID = entry.ID
	}
	switch {
	case entry.Inference != nil:
		item.Inference = entry.Inference
		item.Inference.fill()
	case entry.Error != nil:
		item.Err = entry.Error.named()
		b.Failed++
	}
}

// complete checks that every request has an outcome.
func (b *BatchResult) complete() error {
	for _, item := range b.Results {
		if item.Inference == nil && item.Err == nil {
			return broken("truncated", "the batch ended and results are missing", nil)
		}
	}
	return nil
}

// abandon gives each request without an outcome the error that ended the batch.
func (b *BatchResult) abandon(err error) {
	for n := range b.Results {
		if item := &b.Results[n]; item.Inference == nil && item.Err == nil {
			item.Err = err
			b.Failed++
		}
	}
}
