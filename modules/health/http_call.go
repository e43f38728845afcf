package health

import (
	"context"
	"slices"
	"strconv"
)

// unfit are the fields that speak of an HTTP/1 connection, which HTTP/2 forbids
// (RFC 9113 §8.2.2).
var unfit = []string{"connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"}

// field notes a field of requests in HTTP/2; Host becomes the authority there.
func (p *httpProbe) field(name, value string) {
	switch {
	case name == "host":
		p.host = value
	case !slices.Contains(unfit, name):
		p.fields = append(p.fields, [2]string{name, value})
	}
}

// call asks in HTTP/2.
func (p *httpProbe) call(ctx context.Context, s *session, authority string) (Result, error) {
	c, err := s.ask(append([][2]string{
		{":method", p.method}, {":scheme", s.scheme()}, {":path", p.path}, {":authority", authority},
	}, p.fields...), []byte(p.body))
	for err == nil && c.status == "" && !c.done {
		err = c.next()
	}
	if err != nil {
		return answerFailed(ctx, "Layer7", err)
	}
	code, err := strconv.Atoi(c.status)
	if err != nil || len(c.status) != 3 || code < 100 {
		return failed("Layer7 invalid response", 0, "status "+c.status)
	}
	return p.judge(ctx, (*callAnswer)(c), code, "HTTP/2")
}

// callAnswer is an answer of HTTP/2, whose head has come.
type callAnswer call

func (a *callAnswer) fields() (*head, error) { return &a.head, nil }

func (a *callAnswer) content(*head) ([]byte, error) {
	c := (*call)(a)
	for !c.done {
		if err := c.next(); err != nil {
			return c.body, err
		}
	}
	return c.body, nil
}
