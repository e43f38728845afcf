package health

import (
	"context"
	"fmt"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
)

var redisModule = Module{
	Spec: spec.Word{
		Name:    "redis",
		Doc:     "The server is well if it answers PING with +PONG",
		Long:    "A server that loads its data, or that wants a password it is not given, answers an error and is not well.",
		Example: "health redis password {$REDIS_PASSWORD:secret}",
		Options: []spec.Word{
			{Name: "user", Doc: "the user to log in as (Redis 6), with `password`",
				Args: []spec.Arg{{Name: "NAME", Kind: spec.String, Doc: "a user of the server's ACL"}}},
			{Name: "password", Doc: "the password for AUTH",
				Args: []spec.Arg{{Name: "TEXT", Kind: spec.String, Doc: "a password; best taken from the environment"}}},
		},
	},
	New: func(n *config.Node) (Probe, error) {
		p := &redisProbe{ping: command("PING")}
		user, password := n.OptionText("user"), n.OptionText("password")
		switch {
		case password == "" && n.Has("user"):
			return nil, misuse(n.Option("user").Range, "a user needs a password")
		case user != "":
			p.auth = command("AUTH", user, password)
		case password != "":
			p.auth = command("AUTH", password)
		}
		return p, nil
	},
}

// command writes a command of the Redis protocol: an array of bulk strings,
// which leaves nothing to escape.
func command(words ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, w := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
	}
	return b.String()
}

type redisProbe struct{ auth, ping string }

func (p *redisProbe) Probe(ctx context.Context, t *Target) (Result, error) {
	s, err := open(ctx, t)
	if err != nil {
		return connectFailed(ctx, err)
	}
	defer s.Close()
	line := "+OK"
	if p.auth != "" {
		if err = s.say(p.auth); err == nil {
			line, err = s.line()
		}
	}
	if err == nil && line == "+OK" {
		if err = s.say(p.ping); err == nil {
			line, err = s.line()
		}
	}
	switch {
	case err != nil:
		return answerFailed(ctx, "Layer7", err)
	case line == "+PONG":
		return passed("Layer7 check passed", 0, "Redis server is ok"), nil
	case strings.HasPrefix(line, "-"):
		return failed("Layer7 wrong status", 0, line[1:])
	}
	return failed("Layer7 invalid response", 0, line)
}
