package prsm_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/Ryno2390/PRSM/sdks/go"
)

// standIn answers like a share server, so that the examples run anywhere.
func standIn(body, kind string, status int) *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Retry-After", "2")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
}

func Example() {
	server := standIn(`{"choices":[{"message":{"content":"Go is a language."}}],"cost":{"amount":null}}`, "application/json", 200)
	defer server.Close()

	client := prsm.NewClient("pk_your_key", prsm.WithBaseURL(server.URL))
	answer, err := client.Inference.Create(context.Background(), &prsm.InferenceRequest{
		Model:     "gpt-3.5-turbo",
		Messages:  []prsm.Message{{Role: "user", Content: "Explain Go programming"}},
		MaxTokens: prsm.Ptr(150),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.Content)
	fmt.Println("cost is known:", answer.Cost.Amount != nil)
	// Output:
	// Go is a language.
	// cost is known: false
}

func ExampleInferenceService_Stream() {
	server := standIn(`data: {"choices":[{"delta":{"content":"Once"}}]}

data: {"choices":[{"delta":{"content":" upon"}}]}

data: [DONE]

`, "text/event-stream", 200)
	defer server.Close()

	client := prsm.NewClient("pk_your_key", prsm.WithBaseURL(server.URL))
	stream, err := client.Inference.Stream(context.Background(), &prsm.InferenceRequest{Model: "m"})
	if err != nil {
		log.Fatal(err)
	}
	defer stream.Close()
	for stream.Next() {
		fmt.Print(stream.Chunk().Content)
	}
	if err := stream.Err(); err != nil {
		log.Fatal(err)
	}
	// Output: Once upon
}

func ExampleError() {
	server := standIn(`{"error":{"code":"rate_limit","message":"too fast"}}`, "application/json", 429)
	defer server.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	client := prsm.NewClient("pk_your_key", prsm.WithBaseURL(server.URL))
	_, err := client.Models.List(ctx)

	var e *prsm.Error
	if errors.Is(err, prsm.ErrRateLimit) && errors.As(err, &e) {
		fmt.Println(e.Message, *e.RetryAfter)
	}
	// Output: too fast 2s
}
