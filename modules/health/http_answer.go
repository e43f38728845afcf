package health

import (
	"bufio"
	"errors"
	"io"
	"strconv"
	"strings"
)

// maxFields bounds the header fields of an answer.
const maxFields = 200

// head is the header of an answer; probes are few and not on the hot path.
type head struct{ fields [][2]string }

var (
	errHead  = errors.New("invalid header")
	errChunk = errors.New("invalid chunk")
)

// readHead reads the fields behind the status line (RFC 9112 §5), leniently as
// to line ends.
func readHead(s *session) (*head, error) {
	h := &head{}
	for range maxFields {
		line, err := s.line()
		if err != nil {
			return nil, err
		}
		if line == "" {
			return h, nil
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || !token(name) {
			return nil, errHead
		}
		h.fields = append(h.fields, [2]string{name, strings.Trim(value, " \t")})
	}
	return nil, errHead
}

func (h *head) get(name string) (string, bool) {
	for _, f := range h.fields {
		if strings.EqualFold(f[0], name) {
			return f[1], true
		}
	}
	return "", false
}

// readBody reads the body by its framing (RFC 9112 §6.3), as much as the session
// gives. An end before the body's comes with io.ErrUnexpectedEOF.
func (h *head) readBody(r *bufio.Reader) ([]byte, error) {
	if v, ok := h.get("Transfer-Encoding"); ok && strings.HasSuffix(strings.ToLower(v), "chunked") {
		return readChunks(r)
	}
	if v, ok := h.get("Content-Length"); ok {
		n, err := strconv.ParseUint(v, 10, 63)
		if err != nil {
			return nil, errHead
		}
		b, err := io.ReadAll(io.LimitReader(r, int64(n)))
		if err == nil && uint64(len(b)) < n {
			err = io.ErrUnexpectedEOF
		}
		return b, err
	}
	return io.ReadAll(r)
}

// readChunks reads a chunked body (RFC 9112 §7.1); what follows the last chunk
// is left unread.
func readChunks(r *bufio.Reader) (body []byte, err error) {
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return body, ended(err)
		}
		size, _, _ := strings.Cut(strings.TrimRight(string(line), "\r\n"), ";")
		n, err := strconv.ParseUint(strings.TrimSpace(size), 16, 32)
		if err != nil {
			return body, errChunk
		}
		if n == 0 {
			return body, nil
		}
		part, err := io.ReadAll(io.LimitReader(r, int64(n)))
		body = append(body, part...)
		if err != nil {
			return body, err
		}
		if uint64(len(part)) < n {
			return body, io.ErrUnexpectedEOF
		}
		if line, err = r.ReadSlice('\n'); err != nil {
			return body, ended(err)
		}
		if strings.TrimRight(string(line), "\r\n") != "" {
			return body, errChunk
		}
	}
}
