package health

import (
	"context"
	"fmt"
	"strconv"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
)

var smtpModule = Module{
	Spec: spec.Word{
		Name:    "smtp",
		Doc:     "The server is well if it greets and answers HELO or EHLO with a status of 2xx",
		Long:    "The probe takes its leave with QUIT, so that the server's log has no broken sessions (RFC 5321).",
		Example: "health smtp EHLO lb.example.com",
		Args: []spec.Arg{
			{Name: "HELO", Kind: spec.Enum, Words: []string{"HELO", "EHLO"}, Optional: true, Default: "HELO", Doc: "the command"},
			{Name: "NAME", Kind: spec.String, Optional: true, Default: "localhost", Doc: "how the probe calls itself"},
		},
	},
	New: func(n *config.Node) (Probe, error) {
		command, name := n.Text(0), n.Text(1)
		if !visible(name) || name == "" {
			return nil, fmt.Errorf("%q is no name of a host", name)
		}
		return &smtpProbe{command + " " + name + "\r\n"}, nil
	},
}

type smtpProbe struct{ hello string }

func (p *smtpProbe) Probe(ctx context.Context, t *Target) (Result, error) {
	s, err := open(ctx, t)
	if err != nil {
		return connectFailed(ctx, err)
	}
	defer s.Close()
	code, text, err := s.reply()
	if err == nil && code/100 == 2 {
		if err = s.say(p.hello); err == nil {
			code, text, err = s.reply()
		}
	}
	switch {
	case err != nil:
		return answerFailed(ctx, "Layer7", err)
	case code == 0:
		return failed("Layer7 invalid response", 0, text)
	case code/100 != 2:
		return failed("Layer7 wrong status", code, text)
	}
	// The answer to QUIT is waited for, but says nothing of the server's health.
	s.goodbye("QUIT\r\n")
	_, _, _ = s.reply()
	return passed("Layer7 check passed", code, text), nil
}

// maxReply bounds the lines of one reply: EHLO lists extensions.
const maxReply = 100

// reply reads a reply of one or more lines, "250-…" up to "250 …" (RFC 5321
// §4.2), and gives the text of the last. Code 0: it was none.
func (s *session) reply() (code int, text string, err error) {
	for range maxReply {
		line, err := s.line()
		if err != nil {
			return 0, "", err
		}
		if len(line) < 3 || len(line) > 3 && line[3] != ' ' && line[3] != '-' {
			return 0, line, nil
		}
		n, bad := strconv.ParseUint(line[:3], 10, 16)
		if bad != nil || n < 200 || n > 599 {
			return 0, line, nil //nolint:nilerr // no reply, but no error of the connection either
		}
		code := int(n)
		if len(line) < 5 || line[3] == ' ' {
			return code, line[min(4, len(line)):], nil
		}
	}
	return 0, "a reply without end", nil
}
