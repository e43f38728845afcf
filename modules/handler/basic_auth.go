package handler

import (
	"errors"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/auth"
)

// BasicAuth is `basic_auth`: who passes has to say who he is.
var BasicAuth = Module{
	Spec: spec.Word{
		Name: "basic_auth", In: spec.InHTTPSite, Matcher: true, Repeat: true,
		Doc: "Lets only users pass who give their name and password",
		Long: "It asks as RFC 7617 has it, so every browser and `curl -u` know how to answer; use it on sites with TLS, for the password " +
			"comes with each request. Directives above it are for everybody. Make hashes with `loadstar hash-password`; only bcrypt is taken. " +
			"A hash costs its time once, not with each request. An address that was wrong ten times in a row is answered with 429, and gets one " +
			"more try every six seconds. Servers get the `Authorization` field, too: `header request -Authorization` below takes it away. " +
			"The user's name is logged (in `combined`, in `json`, and as `{log.user}`).",
		Example: "basic_auth /admin/* user alice $2y$05$yPoVPgsvXQTRAiIFcUUmJuIWFALjVGKp8l1kSAkYVXnrLFRQcHEm2",
		Options: []spec.Word{
			{Name: "realm", Default: `"Restricted"`, Doc: "what the browser tells its user that he is asked for",
				Args: []spec.Arg{{Name: "TEXT", Kind: spec.String, Doc: "a few words"}}},
			{Name: "user", Repeat: true, Required: true, Doc: "who may pass; may be repeated", Args: userArgs()},
		},
	},
	New: func(n *config.Node, _ *Env) (flow.Handler, error) {
		users, err := users(n, "user")
		if err != nil {
			return nil, err
		}
		return &basicAuth{auth.NewBasic(n.OptionText("realm"), users)}, nil
	},
}

// userArgs are the arguments of an option that names a user.
func userArgs() []spec.Arg {
	return []spec.Arg{
		{Name: "USER", Kind: spec.String, Doc: "the name, without a colon"},
		{Name: "HASH", Kind: spec.String, Doc: "the bcrypt hash of the password, as `loadstar hash-password` prints it"},
	}
}

// users reads the users of a directive, nil if it has none; what is wrong is said
// at its place.
func users(n *config.Node, option string) (*auth.Users, error) {
	var list []auth.User
	for _, o := range config.Find(n.Options, option) {
		if err := auth.CheckHash(o.Text(1)); err != nil {
			var l diag.List
			at := o.Range
			if len(o.Args) > 1 {
				at = o.Args[1].Range
			}
			if errors.Is(err, auth.ErrPlain) {
				l.Add(at, "plaintext-password", "%v", err)
			} else {
				l.Add(at, "bad-hash", "%v", err)
			}
			return nil, l
		}
		list = append(list, auth.User{Name: o.Text(0), Hash: o.Text(1)})
	}
	if len(list) == 0 {
		return nil, nil
	}
	return auth.NewUsers(list, nil)
}

type basicAuth struct{ *auth.Basic }

// Handle lets users pass.
func (h basicAuth) Handle(x *flow.Exchange) (bool, error) { return false, h.Check(x) }
