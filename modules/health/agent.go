package health

import (
	"context"
	"io"
	"strconv"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

var agentModule = Module{
	Spec: spec.Word{
		Name: Agent,
		Doc:  "A program beside the server says what it may be given",
		Long: "An agent may stand beside one other probe: `health http` and `health agent port 9707`. It answers each connection with one line of words, in any case and separated by " +
			"blanks or commas (HAProxy's `agent-check`): `75%` (that much of its weight), `maxconn:30`, `ready`, `drain`, `maint`, `up`, " +
			"`down`, `failed`, `stopped`; text behind `#` is a reason for the log. What it does not speak of stays as it was: only `ready` ends " +
			"`drain` and `maint`, only `up` ends `down`. An agent that cannot be reached, or talks nonsense, changes nothing.",
		Example: "health agent port 9707 interval 5s",
		Options: []spec.Word{{Name: "send", Doc: "a text to send to the agent first",
			Args: []spec.Arg{{Name: "TEXT", Kind: spec.String, Doc: `the text, with the escapes \r \n \t \0 \\ \xHH`}}}},
	},
	New: func(n *config.Node) (Probe, error) {
		p := &agentProbe{}
		if o := n.Option("send"); o != nil {
			var err error
			if p.hello, err = unescape(o.Args[0]); err != nil {
				return nil, err
			}
		}
		return p, nil
	},
}

// Agent is the variant of `health` that advises rather than judges.
const Agent = "agent"

type agentProbe struct{ hello []byte }

// Probe reads the agent's line. Its words are in the result; the error tells
// only that there were none.
func (p *agentProbe) Probe(ctx context.Context, t *Target) (Result, error) {
	s, err := open(ctx, t)
	if err != nil {
		return connectFailed(ctx, err)
	}
	defer s.Close()
	if _, err := s.Write(p.hello); err != nil {
		return answerFailed(ctx, "Layer7", err)
	}
	line, err := s.line()
	if err != nil {
		return answerFailed(ctx, "Layer7", err)
	}
	advice, ok := ParseAgent(line)
	if !ok {
		return failed("Layer7 invalid response", 0, line)
	}
	r := passed("Layer7 check passed", 0, line)
	r.Advice = &advice
	return r, nil
}

var _ io.Reader = (*session)(nil)

// ParseAgent reads an agent's line (HAProxy manual, "agent-check"); ok is false
// if there is a word that it does not know. Of words that say different things
// the last one counts.
func ParseAgent(line string) (a upstream.Advice, ok bool) {
	line, why, _ := strings.Cut(line, "#")
	a = upstream.Advice{Weight: upstream.NoAdvice, Maxconn: upstream.NoAdvice, Why: printable(strings.TrimSpace(why))}
	words := strings.FieldsFunc(line, func(c rune) bool { return c == ' ' || c == '\t' || c == ',' || c == '\r' })
	for _, w := range words {
		w = strings.ToLower(w)
		switch w {
		case "ready":
			a.Admin = upstream.Ready
		case "drain":
			a.Admin = upstream.Drain
		case "maint":
			a.Admin = upstream.Maint
		case "up":
			a.State = upstream.AgentUp
		case "down", "fail", "failed", "stopped":
			a.State, a.Word = upstream.AgentDown, w
		default:
			if !number(w, &a) {
				return a, false
			}
		}
	}
	return a, len(words) > 0
}

// Bounds of what an agent may say.
const (
	maxAgentPercent = 10_000
	maxAgentConn    = 1 << 30
)

// number reads "75%" and "maxconn:30".
func number(w string, a *upstream.Advice) bool {
	if n, ok := strings.CutPrefix(w, "maxconn:"); ok {
		v, err := strconv.ParseUint(n, 10, 32)
		a.Maxconn = int(min(v, maxAgentConn))
		return err == nil
	}
	n, ok := strings.CutSuffix(w, "%")
	v, err := strconv.ParseUint(n, 10, 32)
	a.Weight = int(min(v, maxAgentPercent))
	return ok && err == nil
}
