package prsm

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

const (
	defaultRetries = 3
	defaultTimeout = 10 * time.Minute
	userAgent      = "prsm-go/0.1"
)

// Client talks to one share server with one key. Make it with [NewClient].
type Client struct {
	// Inference asks models and reports on what was asked.
	Inference *InferenceService
	// Models lists what can be asked.
	Models *ModelsService

	core *core
}

// core is what every service of a client shares. It never changes once made.
type core struct {
	base    string
	baseErr error // what was wrong with the address, told by the first call: NewClient has no error to return
	// A function and not a string: fmt prints unexported fields without asking
	// them, so a key kept as text would show in "%+v" of anything that holds it.
	key func() string
	// bearer is what Authorization holds: the key, or a proxy's own token.
	bearer  func() string
	http    *http.Client
	retries int
	timeout time.Duration
	sleep   sleeper
	random  func() float64
}

// Option changes one setting of a [Client].
type Option func(*settings)

type settings struct {
	base    string
	token   string
	http    *http.Client
	retries int
	timeout time.Duration
}

// WithBaseURL sets the address of the server, such as http://127.0.0.1:41234.
// A path before the API is kept; a trailing /v1 or /v1/inference is cut off.
func WithBaseURL(address string) Option { return func(s *settings) { s.base = address } }

// WithProxyToken names what a proxy in front of the server asks for, such as
// Jupyter's token. It goes into Authorization, and the key into X-API-Key.
// Without it the token is read from PRSM_PROXY_TOKEN.
func WithProxyToken(token string) Option { return func(s *settings) { s.token = token } }

// WithHTTPClient sends requests through client (a proxy, a private CA). Its
// Timeout should be 0, because it would cut long streams.
func WithHTTPClient(client *http.Client) Option {
	return func(s *settings) {
		if client != nil {
			s.http = client
		}
	}
}

// WithMaxRetries sets how many times a call is tried again; 0 turns retries off.
func WithMaxRetries(n int) Option {
	return func(s *settings) {
		if n < 0 {
			n = 0
		}
		s.retries = n
	}
}

// WithTimeout bounds a whole call with its retries; for a stream and a batch it
// bounds the silence between two pieces of the answer. 0 means no bound; the
// default is ten minutes.
func WithTimeout(d time.Duration) Option { return func(s *settings) { s.timeout = d } }

// NewClient makes a client. An empty key is read from PRSM_API_KEY, and without
// [WithBaseURL] the address is read from PRSM_API_URL.
func NewClient(key string, options ...Option) *Client {
	s := settings{http: http.DefaultClient, retries: defaultRetries, timeout: defaultTimeout}
	for _, option := range options {
		option(&s)
	}
	if s.base == "" {
		s.base = os.Getenv("PRSM_API_URL")
	}
	if key == "" {
		key = os.Getenv("PRSM_API_KEY")
	}
	key = strings.TrimSpace(key) // a key read from a file ends in a newline, which no header may hold
	bearer := key
	if s.token == "" {
		s.token = os.Getenv("PRSM_PROXY_TOKEN")
	}
	if token := strings.TrimSpace(s.token); token != "" {
		bearer = token
	}
	base, err := cleanBase(s.base)
	c := &core{
		base: base, baseErr: err, key: func() string { return key }, bearer: func() string { return bearer }, http: withoutRedirects(s.http),
		retries: s.retries, timeout: s.timeout, sleep: sleep, random: randomFloat,
	}
	return &Client{Inference: &InferenceService{c}, Models: &ModelsService{c}, core: c}
}

// withoutRedirects is a copy that follows none, unless its owner said how: a
// followed 301 turns a POST into a GET, and the answer would be a puzzle.
func withoutRedirects(client *http.Client) *http.Client {
	if client.CheckRedirect != nil {
		return client
	}
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

// cleanBase checks an address and cuts off the tail that paths will bring.
func cleanBase(address string) (string, error) {
	address = strings.TrimSpace(address)
	if address == "" {
		return "", invalid("no address: set PRSM_API_URL or use WithBaseURL")
	}
	parsed, err := url.Parse(address)
	if err != nil || (parsed.Scheme != "http" && parsed.Scheme != "https") || parsed.Host == "" {
		return "", invalid("the address is not an http:// or https:// URL") // not quoted: it may hold a password
	}
	if parsed.RawQuery != "" || parsed.Fragment != "" {
		return "", invalid("the address must have no query and no fragment")
	}
	base := strings.TrimRight(address, "/#?")
	for _, tail := range []string{"/v1/inference", "/v1"} {
		if strings.HasSuffix(base, tail) {
			base = strings.TrimRight(strings.TrimSuffix(base, tail), "/")
			break
		}
	}
	return base, nil
}

// String tells the address, never the key.
func (c Client) String() string {
	if c.core == nil {
		return "prsm.Client{}"
	}
	shown := "?"
	if parsed, err := url.Parse(c.core.base); err == nil {
		shown = parsed.Redacted()
	}
	return fmt.Sprintf("prsm.Client{%s}", shown)
}

// GoString is String: %#v must not show the key either.
func (c Client) GoString() string { return c.String() }

// Format is String for every verb.
func (c Client) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }
