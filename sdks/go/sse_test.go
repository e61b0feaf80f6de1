package prsm

import (
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func readAll(t *testing.T, in io.Reader) []event {
	t.Helper()
	var all []event
	for s := newSSE(in); ; {
		e, err := s.next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
}

func TestEventsAreReadAsTheStandardSays(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []event
	}{
		"one":                     {"data: a\n\n", []event{{"", "a"}}},
		"several lines":           {"data: a\ndata:\ndata:  b\n\n", []event{{"", "a\n\n b"}}},
		"no space":                {"data:a\n\ndata:  b\n\n", []event{{"", "a"}, {"", " b"}}},
		"comments":                {": hi\n\n:\ndata: a\n: between\ndata: b\n\n", []event{{"", "a\nb"}}},
		"a name":                  {"event: error\ndata: a\n\ndata: b\n\n", []event{{"error", "a"}, {"", "b"}}},
		"a name without data":     {"event: error\n\ndata: b\n\n", []event{{"", "b"}}},
		"other fields":            {"id: 3\nretry: 5\nnonsense\ndata: a\n\n", []event{{"", "a"}}},
		"data without colon":      {"data\n\n", []event{{"", ""}}},
		"a byte order mark":       {"\ufeffdata: a\n\ndata: \ufeffb\n\n", []event{{"", "a"}, {"", "\ufeffb"}}},
		"an event cut off":        {"data: a\n\ndata: b\n", []event{{"", "a"}}},
		"a line cut off":          {"data: a\n\ndata: b", []event{{"", "a"}}},
		"colons and other breaks": {"data: a: b\u2028c\x0bd\u0085\n\n", []event{{"", "a: b\u2028c\x0bd\u0085"}}},
		"nothing":                 {"", nil},
	} {
		for ending, sign := range map[string]string{"LF": "\n", "CRLF": "\r\n", "CR": "\r"} {
			text := strings.ReplaceAll(c.text, "\n", sign)
			for way, in := range map[string]io.Reader{
				"whole": strings.NewReader(text), "bytewise": iotest.OneByteReader(strings.NewReader(text)),
			} {
				if got := readAll(t, in); !reflect.DeepEqual(got, c.want) {
					t.Errorf("%s, %s, %s: got %q, want %q", name, ending, way, got, c.want)
				}
			}
		}
	}
}

func TestMixedLineEndings(t *testing.T) {
	got := readAll(t, strings.NewReader("data: a\r\n\ndata: b\r\r\ndata: c\n\r"))
	if want := []event{{"", "a"}, {"", "b"}, {"", "c"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestALoneCRDoesNotHoldAnEventBack(t *testing.T) {
	in, out := io.Pipe()
	defer out.Close()
	go func() { _, _ = io.WriteString(out, "data: a\r\n\r") }()
	got := make(chan event, 1)
	go func() { e, _ := newSSE(in).next(); got <- e }()
	select {
	case e := <-got:
		equal(t, "data", e.data, "a")
	case <-time.After(5 * time.Second):
		t.Fatal("the parser waits for an LF that need not come")
	}
}

func TestLongEventsUpToALimit(t *testing.T) {
	long := strings.Repeat("x", 3<<20) // a bufio.Scanner stops at 64 KB
	if got := readAll(t, strings.NewReader("data: "+long+"\n\n")); len(got) != 1 || got[0].data != long {
		t.Error("a long event was lost")
	}
	one := newSSE(strings.NewReader("data: " + long))
	one.limit = 1 << 20
	if _, err := one.next(); !errors.Is(err, errEventTooLarge) {
		t.Error("one long line:", err)
	}
	many := newSSE(strings.NewReader(strings.Repeat("data: "+strings.Repeat("y", 1000)+"\n", 2000)))
	many.limit = 1 << 20
	if _, err := many.next(); !errors.Is(err, errEventTooLarge) {
		t.Error("many lines:", err)
	}
	quiet := newSSE(strings.NewReader(strings.Repeat(": heartbeat\n", 2000) + "data: a\n\n"))
	quiet.limit = 100
	if e, err := quiet.next(); err != nil || e.data != "a" {
		t.Error("heartbeats must not count:", err)
	}
	equal(t, "limit", newSSE(strings.NewReader("")).limit, 16<<20)
}
