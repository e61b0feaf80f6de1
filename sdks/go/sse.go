package prsm

import (
	"bufio"
	"errors"
	"io"
)

// mostEvent bounds one event: a server that never ends one must not fill the memory.
const mostEvent = 16 << 20

var errEventTooLarge = errors.New("an event is larger than 16 MB")

// event is one server-sent event.
type event struct {
	name string
	data string
}

// sse reads server-sent events as the HTML standard describes them. Not a
// bufio.Scanner, which gives up on long lines and does not know a lone CR.
type sse struct {
	in      *bufio.Reader
	started bool
	skipLF  bool
	limit   int
}

func newSSE(in io.Reader) *sse { return &sse{in: bufio.NewReaderSize(in, 32<<10), limit: mostEvent} }

// next is the next event that has data. An event that the end of the input cuts
// off is dropped, as the standard says.
func (s *sse) next() (event, error) {
	var name string
	var data []byte
	has, size := false, 0
	for {
		line, err := s.line(s.limit - size)
		if err != nil {
			return event{}, err
		}
		size += len(line)
		if len(line) == 0 {
			if has {
				return event{name, string(data)}, nil
			}
			name, size = "", 0
			continue
		}
		if line[0] == ':' {
			size -= len(line) // a heartbeat belongs to no event
			continue
		}
		field, value := cut(line)
		switch field {
		case "event":
			name = string(value)
		case "data":
			if has {
				data = append(data, '\n')
			}
			data, has = append(data, value...), true
		}
	}
}

// cut splits a line at its colon; one space after the colon is not part of the value.
func cut(line []byte) (string, []byte) {
	for n, c := range line {
		if c == ':' {
			value := line[n+1:]
			if len(value) > 0 && value[0] == ' ' {
				value = value[1:]
			}
			return string(line[:n]), value
		}
	}
	return string(line), nil
}

// line is the next line without its end: CRLF, LF or CR. The LF after a CR is
// skipped later, because waiting for it would hold back the event.
func (s *sse) line(limit int) ([]byte, error) {
	var line []byte
	for {
		c, err := s.in.ReadByte()
		if err != nil {
			return nil, err
		}
		if s.skipLF {
			s.skipLF = false
			if c == '\n' {
				continue
			}
		}
		if c == '\r' || c == '\n' {
			s.skipLF = c == '\r'
			return s.withoutBOM(line), nil
		}
		if len(line) >= limit {
			return nil, errEventTooLarge
		}
		line = append(line, c)
	}
}

// withoutBOM drops the byte order mark that may open the very first line.
func (s *sse) withoutBOM(line []byte) []byte {
	if !s.started {
		s.started = true
		if len(line) >= 3 && string(line[:3]) == "\xef\xbb\xbf" {
			return line[3:]
		}
	}
	return line
}
