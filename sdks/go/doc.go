// Package prsm is the Go client of a prsm_lab share server: one HTTP API in
// front of many model providers.
//
//	client := prsm.NewClient("pk_…", prsm.WithBaseURL("http://127.0.0.1:41234"))
//	answer, err := client.Inference.Create(ctx, &prsm.InferenceRequest{
//		Model:    "gpt-3.5-turbo",
//		Messages: []prsm.Message{{Role: "user", Content: "Explain Go programming"}},
//	})
//
// An empty key is read from PRSM_API_KEY; without [WithBaseURL] the address is
// read from PRSM_API_URL.
//
// Numbers that a provider may not report are pointers: nil is "not known",
// never 0. [Ptr] makes such a pointer for a request.
//
// Failures are a *[Error] and one of the sentinel kinds ([ErrRateLimit],
// [ErrProvider], …) for errors.Is. A cancelled or expired context comes back as
// context.Canceled or context.DeadlineExceeded.
//
// A [Client] is safe for concurrent use; a [Stream] belongs to one goroutine,
// except that any goroutine may Close it.
package prsm
