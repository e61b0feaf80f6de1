package prsm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestTheAddressIsCleaned(t *testing.T) {
	for given, want := range map[string]string{
		"http://h:1":                   "http://h:1",
		"http://h:1/":                  "http://h:1",
		"http://h:1/v1":                "http://h:1",
		"http://h:1/v1/":               "http://h:1",
		"https://h/v1/inference":       "https://h",
		"https://h/lab/v1/inference/":  "https://h/lab",
		" https://h/lab/ ":             "https://h/lab",
		"https://h/v12":                "https://h/v12",
		"https://me:pw@h/a%20b/v1":     "https://me:pw@h/a%20b",
		"http://[::1]:8080/v1":         "http://[::1]:8080",
		"http://127.0.0.1:41234/?":     "http://127.0.0.1:41234",
		"http://127.0.0.1:41234/x/v1/": "http://127.0.0.1:41234/x",
	} {
		got, err := cleanBase(given)
		if err != nil {
			t.Errorf("%q: %v", given, err)
		}
		equal(t, given, got, want)
	}
	for _, given := range []string{"", "h:1", "ftp://h", "http://", "http://h?a=1", "http://h#a", "http://h:port", "/v1"} {
		if _, err := cleanBase(given); !errors.Is(err, ErrInvalidRequest) {
			t.Errorf("%q: %v", given, err)
		}
	}
}

func TestThePrefixAndTheHeadersAreSent(t *testing.T) {
	s := serve(t, says(200, answerJSON))
	client := NewClient(" "+testKey+"\n", WithBaseURL(s.url+"/lab/v1"))
	if _, err := client.Inference.Create(context.Background(), ask()); err != nil {
		t.Fatal(err)
	}
	sent := s.seen[0]
	equal(t, "path", sent.URL.Path, "/lab/v1/inference")
	equal(t, "authorization", sent.Header.Get("Authorization"), "Bearer "+testKey)
	equal(t, "content type", sent.Header.Get("Content-Type"), "application/json")
}

func TestAProxysTokenTakesAuthorization(t *testing.T) {
	s := serve(t, says(200, answerJSON))
	client := NewClient(testKey, WithBaseURL(s.url), WithProxyToken("jupyter"))
	if _, err := client.Inference.Create(context.Background(), ask()); err != nil {
		t.Fatal(err)
	}
	equal(t, "authorization", s.seen[0].Header.Get("Authorization"), "Bearer jupyter")
	equal(t, "key", s.seen[0].Header.Get("X-API-Key"), testKey)
}

func TestTheEnvironmentFillsIn(t *testing.T) {
	s := serve(t, says(200, answerJSON))
	t.Setenv("PRSM_API_URL", s.url)
	t.Setenv("PRSM_API_KEY", "pk_env")
	if _, err := NewClient("").Inference.Create(context.Background(), ask()); err != nil {
		t.Fatal(err)
	}
	equal(t, "authorization", s.seen[0].Header.Get("Authorization"), "Bearer pk_env")
	if _, err := NewClient("pk_own").Inference.Create(context.Background(), ask()); err != nil {
		t.Fatal(err)
	}
	equal(t, "authorization", s.seen[1].Header.Get("Authorization"), "Bearer pk_own")
}

func TestWhatIsMissingIsToldByTheFirstCall(t *testing.T) {
	t.Setenv("PRSM_API_URL", "")
	t.Setenv("PRSM_API_KEY", "")
	ctx := context.Background()
	calls := map[string]func(*Client) error{
		"create": func(c *Client) error { _, err := c.Inference.Create(ctx, ask()); return err },
		"stream": func(c *Client) error { _, err := c.Inference.Stream(ctx, ask()); return err },
		"batch":  func(c *Client) error { _, err := c.Inference.Batch(ctx, make([]BatchRequest, 1), nil); return err },
		"models": func(c *Client) error { _, err := c.Models.List(ctx); return err },
	}
	for name, call := range calls {
		if err := call(NewClient("pk")); !errors.Is(err, ErrInvalidRequest) || !strings.Contains(err.Error(), "PRSM_API_URL") {
			t.Errorf("%s without address: %v", name, err)
		}
		if err := call(NewClient("", WithBaseURL("http://h"))); !errors.Is(err, ErrAuthentication) {
			t.Errorf("%s without key: %v", name, err)
		}
		err := call(NewClient("pk_a\nb", WithBaseURL("http://h")))
		if !errors.Is(err, ErrAuthentication) || strings.Contains(err.Error(), "pk_a") {
			t.Errorf("%s with a broken key: %v", name, err)
		}
	}
}

func TestTheKeyNeverShows(t *testing.T) {
	client := NewClient(testKey, WithBaseURL("http://me:hidden@h:1/"))
	holder := struct {
		Client *Client
		value  Client
	}{client, *client}
	dumped, _ := json.Marshal(client)
	shown := string(dumped)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, it := range []any{client, *client, holder, &holder, client.Inference, *client.Inference, client.Models, client.core, *client.core} {
			shown += fmt.Sprintf(verb, it) + "\n"
		}
	}
	for _, secret := range []string{testKey, fmt.Sprintf("%x", testKey), testKey[3:12]} {
		if strings.Contains(shown, secret) {
			t.Errorf("%q shows in %s", secret, shown)
		}
	}
	equal(t, "client", fmt.Sprintf("%v", client), "prsm.Client{http://me:xxxxx@h:1}")
	equal(t, "zero client", fmt.Sprint(Client{}), "prsm.Client{}")
}

func TestARedirectIsToldAndNotFollowed(t *testing.T) {
	s := serve(t, says(301, "", "Location", "/elsewhere"))
	_, err := s.Inference.Create(context.Background(), ask())
	var e *Error
	if !errors.As(err, &e) || e.Status != 301 || s.count() != 1 {
		t.Errorf("%v after %d requests", err, s.count())
	}
	own := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("mine") }}
	if withoutRedirects(own) != own {
		t.Error("the owner's rule was replaced")
	}
	if http.DefaultClient.CheckRedirect != nil {
		t.Error("the default client of the program was changed")
	}
}
