package health

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
)

var pgsqlModule = Module{
	Spec: spec.Word{
		Name: "pgsql",
		Doc:  "The server is well if it takes a start-up message and asks to authenticate, or refuses the user",
		Long: "As with HAProxy's `pgsql-check` the user need not exist. An error that says that the server is starting, stopping, or out of connections " +
			"(SQLSTATE classes 53, 57 and 58) is not well. A session that needs no password is ended with Terminate.",
		Example: "health pgsql user loadstar",
		Options: []spec.Word{
			{Name: "user", Doc: "the user to start as", Default: "loadstar",
				Args: []spec.Arg{{Name: "NAME", Kind: spec.String, Doc: "a user"}}},
			{Name: "database", Doc: "the database to start with (else: the user's)",
				Args: []spec.Arg{{Name: "NAME", Kind: spec.String, Doc: "a database"}}},
		},
	},
	New: newPgsql,
}

type pgsqlProbe struct{ startup []byte }

// newPgsql makes the StartupMessage (PostgreSQL documentation, "Message
// Formats"): length, protocol 3.0, and pairs of strings that end in a zero.
func newPgsql(n *config.Node) (Probe, error) {
	b := []byte{0, 0, 0, 0, 0, 3, 0, 0}
	for _, o := range []string{"user", "database"} {
		v := n.OptionText(o)
		if strings.IndexByte(v, 0) >= 0 {
			return nil, fmt.Errorf("%s must not have a zero byte in it", o)
		}
		if v != "" {
			b = append(append(append(append(b, o...), 0), v...), 0)
		}
	}
	b = append(b, 0)
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	return &pgsqlProbe{b}, nil
}

// Bounds of the answer: its size, as libpq bounds it for authentication, and the
// last of the ways to authenticate (SASLFinal).
const (
	maxPgsql     = 2000
	maxPgsqlAuth = 12
)

func (p *pgsqlProbe) Probe(ctx context.Context, t *Target) (Result, error) {
	s, err := open(ctx, t)
	if err != nil {
		return connectFailed(ctx, err)
	}
	defer s.Close()
	if _, err = s.Write(p.startup); err != nil {
		return answerFailed(ctx, "Layer7", err)
	}
	head, err := s.bytes(5)
	if err != nil {
		return answerFailed(ctx, "Layer7", err)
	}
	size := binary.BigEndian.Uint32(head[1:])
	if head[0] != 'R' && head[0] != 'E' || size < 8 || size > maxPgsql {
		return failed("Layer7 invalid response", 0, fmt.Sprintf("%q", head))
	}
	body, err := s.bytes(int(size) - 4)
	if err != nil {
		return answerFailed(ctx, "Layer7", err)
	}
	if head[0] == 'E' {
		return pgsqlError(body)
	}
	if how := binary.BigEndian.Uint32(body); how > maxPgsqlAuth {
		return failed("Layer7 invalid response", 0, fmt.Sprintf("unknown authentication %d", how))
	}
	s.goodbye("X\x00\x00\x00\x04") // Terminate
	return passed("Layer7 check passed", 0, "PostgreSQL server is ok"), nil
}

// pgsqlError reads an ErrorResponse: fields of a letter and a string, of which C
// is the SQLSTATE and M the message (PostgreSQL documentation, appendix A).
func pgsqlError(body []byte) (Result, error) {
	var state, message string
	for len(body) > 1 {
		text, rest, ok := bytes.Cut(body[1:], []byte{0})
		if !ok {
			break
		}
		switch body[0] {
		case 'C':
			state = string(text)
		case 'M':
			message = string(text)
		}
		body = rest
	}
	switch {
	case len(state) != 5:
		return failed("Layer7 invalid response", 0, message)
	case state[:2] == "53" || state[:2] == "57" || state[:2] == "58":
		return failed("Layer7 wrong status", 0, state+" "+message)
	}
	return passed("Layer7 check passed", 0, "PostgreSQL server is ok ("+state+")"), nil
}
