package lsp

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// maxMessage bounds one message, in bytes: a document of syntax.MaxSize whose
// every byte is written as \u0000 still fits.
const maxMessage = 128 << 20

// errFraming says that the stream cannot be read on: where the next message
// begins is unknown.
var errFraming = errors.New("lsp: the stream holds no Content-Length where a message should begin")

// conn reads and writes messages of the base protocol (LSP 3.17, "Base
// Protocol").
type conn struct {
	in  *bufio.Reader
	out io.Writer
}

// read gives the next message. One that is too large is skipped and given as
// nil. The error is io.EOF at the end of the stream.
func (c *conn) read() ([]byte, error) {
	length := -1
	for first := true; ; first = false {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			if first && len(line) == 0 && errors.Is(err, io.EOF) {
				return nil, io.EOF
			}
			return nil, errFraming
		}
		header := strings.TrimRight(string(line), "\r\n")
		if header == "" {
			break
		}
		name, value, ok := strings.Cut(header, ":")
		if !ok {
			return nil, errFraming
		}
		if strings.EqualFold(strings.TrimSpace(name), "Content-Length") {
			n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 62)
			if err != nil {
				return nil, errFraming
			}
			length = int(n)
		}
	}
	if length < 0 {
		return nil, errFraming
	}
	if length > maxMessage {
		if _, err := io.CopyN(io.Discard, c.in, int64(length)); err != nil {
			return nil, io.ErrUnexpectedEOF
		}
		return nil, nil
	}
	// What is announced need not come: memory is taken for what does.
	body, err := io.ReadAll(io.LimitReader(c.in, int64(length)))
	if err == nil && len(body) < length {
		err = io.ErrUnexpectedEOF
	}
	return body, err
}

func (c *conn) write(message any) error {
	body, err := json.Marshal(message)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(c.out, "Content-Length: %d\r\n\r\n", len(body)); err != nil {
		return err
	}
	_, err = c.out.Write(body)
	return err
}
