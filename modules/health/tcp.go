package health

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
)

var tcpModule = Module{
	Spec: spec.Word{
		Name: "tcp",
		Doc:  "The server is well if it accepts a connection and follows the script",
		Long: "Without a script, a connection that stands is enough. `send` and `expect` are done in the order in which they stand. " +
			"Texts know the escapes `\\r \\n \\t \\0 \\\\` and `\\xHH`; write them in a plain word or in backquotes, for a text in double " +
			"quotes has escapes of its own. What an `expect` waits for may come in pieces, and everything up to its end is used up by it.",
		Example: "health tcp send PING\\r\\n expect +PONG interval 1s",
		Options: []spec.Word{
			{Name: "send", Doc: "bytes to send", Repeat: true, Example: `send PING\r\n`,
				Args: []spec.Arg{{Name: "TEXT", Kind: spec.String, Doc: "the bytes"}}},
			{Name: "expect", Doc: "what the server must say next", Repeat: true, Example: "expect +PONG",
				Args: []spec.Arg{{Name: "PATTERN", Kind: spec.String, Doc: "a text that is found in what it says, or ~ and an RE2 expression"}}},
			tlsOption,
		},
	},
	New: newTCP,
}

// step is one line of a script: bytes to send, or a pattern to wait for.
type step struct {
	send   []byte
	expect pattern
}

type tcpProbe struct {
	script []step
	tls    bool
}

func newTCP(n *config.Node) (Probe, error) {
	p := tcpProbe{}
	if n == nil {
		return p, nil
	}
	p.tls = n.Has("tls")
	for i := range n.Options {
		o := &n.Options[i]
		var s step
		var err error
		switch o.Word {
		case "send":
			s.send, err = unescape(o.Args[0])
		case "expect":
			s.expect, err = newPattern(o.Args[0])
		default:
			continue
		}
		if err != nil {
			return nil, err
		}
		p.script = append(p.script, s)
	}
	return p, nil
}

func (p tcpProbe) Probe(ctx context.Context, t *Target) (Result, error) {
	s, err := open(ctx, t)
	if err != nil {
		return connectFailed(ctx, err)
	}
	defer s.Close()
	if p.tls {
		if _, err := s.secure(ctx, tlsConfig("")); err != nil {
			return answerFailed(ctx, "Layer6", err)
		}
	}
	if len(p.script) == 0 {
		return passed("Layer4 check passed", 0, ""), nil
	}
	var said []byte
	for i := range p.script {
		step := &p.script[i]
		if step.send != nil {
			if _, err := s.Write(step.send); err != nil {
				return answerFailed(ctx, "Layer7", err)
			}
			continue
		}
		if said, err = s.await(&step.expect, said); err == errUnmatched {
			return failed("Layer7 invalid response", 0, fmt.Sprintf("did not match content '%s' at step %d", step.expect.text, i+1))
		}
		if err != nil {
			return answerFailed(ctx, "Layer7", err)
		}
	}
	return passed("Layer7 check passed", 0, ""), nil
}

// maxMatched bounds the bytes that expressions are tried on in one await: a
// server that speaks byte by byte would else make the work quadratic.
const maxMatched = 4 << 20

var errUnmatched = errors.New("the pattern was not found")

// await reads until the pattern is found, and gives what was read beyond it.
func (s *session) await(p *pattern, said []byte) (rest []byte, err error) {
	chunk := make([]byte, 4<<10)
	for matched := 0; ; {
		if matched += len(said); matched <= maxMatched || err != nil {
			if end := p.end(said); end >= 0 {
				return said[end:], nil
			}
		}
		if err == io.EOF {
			err = errUnmatched
		}
		if err != nil {
			return nil, err
		}
		var n int
		n, err = s.in.Read(chunk)
		said = append(said, chunk[:n]...)
	}
}
