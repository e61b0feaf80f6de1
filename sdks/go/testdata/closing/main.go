// Command closing reads the beginning of a stream, closes it, and then lives on
// until its input ends: so whatever stopped the server was Close and not the end
// of the process. tests/test_sdk_go.py runs it.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/Ryno2390/PRSM/sdks/go"
)

func main() {
	stream, err := prsm.NewClient("").Inference.Stream(context.Background(), &prsm.InferenceRequest{
		Model: "gpt-4.1-mini", Messages: []prsm.Message{{Role: "user", Content: "Tell a long story"}}, MaxTokens: prsm.Ptr(500),
	})
	if err != nil {
		log.Fatal(err)
	}
	if !stream.Next() {
		log.Fatal("no beginning: ", stream.Err())
	}
	if len(os.Args) == 1 { // with an argument, for comparison, the stream stays open
		if err := stream.Close(); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println("read", len(stream.Result().Content) > 0)
	_, _ = io.Copy(io.Discard, os.Stdin)
}
