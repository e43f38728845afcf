package modules

import (
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/modules/acme"
	"github.com/loadstar-lb/loadstar/modules/certs"
	"github.com/loadstar-lb/loadstar/modules/trace"
)

// settings are the directives that set something of the process or of a site,
// read by modules/graph and modules/runtime.
func settings() []spec.Word {
	count := func(doc string) []spec.Arg {
		return []spec.Arg{{Name: "N", Kind: spec.Int, Min: 1, Max: 10_000_000, Doc: doc}}
	}
	automatic := acme.Words()
	return append(trace.Words(), []spec.Word{
		{
			Name: "maxconn", In: spec.InProcess, Args: count("connections"), Example: "maxconn 25000",
			Doc:  "How many client connections the process takes at a time",
			Long: "At the limit no more are accepted; they wait in the kernel's queue. Without it the limit follows from the descriptors that the process may open.",
		},
		{
			Name: "maxconn", In: spec.InSite, Args: count("exchanges or streams"), Example: "maxconn 2000",
			Doc:  "How many exchanges (in a tcp site: streams) the site serves at a time",
			Long: "What comes beyond waits its turn, in order, for at most the site's `timeout queue`; then it is answered with 503.",
		},
		{
			Name: "grace", In: spec.InProcess, Example: "grace 30s delay 10s", Default: "30s",
			Args: []spec.Arg{{Name: "DURATION", Kind: spec.Duration, Doc: "time"}},
			Doc:  "How long connections may take to end after SIGTERM, before they are cut",
			Options: []spec.Word{
				{Name: "delay", Doc: "how long connections are still taken after SIGTERM, while `monitor` fails already; then the grace begins",
					Args: []spec.Arg{{Name: "DURATION", Kind: spec.Duration, Doc: "time"}}},
				{Name: "retired", Doc: "how long connections may use a configuration, or a process, that was replaced, before they are cut (HAProxy's hard-stop-after); without it as long as they last",
					Args: []spec.Arg{{Name: "DURATION", Kind: spec.Duration, Min: 1_000_000_000, Doc: "time, at least a second"}}},
			},
		},
		{
			Name: "admin", In: spec.InProcess, Example: "admin unix//run/loadstar/admin.sock",
			Args: []spec.Arg{{Name: "ADDRESS", Kind: spec.String, Doc: "unix//path, a loopback host:port, or off"}},
			Doc:  "Where the running process takes orders",
			Long: "By default a unix socket that only its owner may use: /run/loadstar/admin.sock, or admin.sock in the user's runtime directory. On TCP only the loopback is taken, and requests with a foreign Host or Origin are refused.",
		},
		certs.StateWord(),
		certs.Word(),
		automatic[0],
		automatic[1],
		proxiedWord(),
		starttlsWord(),
		http2Word(),
		timeouts(spec.InProcess, "Timeouts of the client side, for all sites that set none"),
		timeouts(spec.InSite, "Timeouts of the client side"),
		{
			Name: "bind", In: spec.InSite, Example: "bind 10.0.0.5 ::1",
			Args: []spec.Arg{{Name: "ADDRESS", Kind: spec.String, Variadic: true, Doc: "an IP address of this machine"}},
			Doc:  "On which addresses of this machine the site's ports are opened, instead of all",
		},
	}...)
}

func timeouts(in spec.Where, doc string) spec.Word {
	d := func(name, doc string) spec.Word {
		return spec.Word{Name: name, Doc: doc, Args: []spec.Arg{{Name: "DURATION", Kind: spec.Duration, Doc: "time"}}}
	}
	return spec.Word{
		Name: "timeout", In: in, Doc: doc, Example: "timeout header 10s idle 60s", Repeat: true,
		Long: "Defaults: header 10s, idle 1m, stall 30s, drain 5s, queue 5s, handshake 5s; a tunnel's is the pool's (`timeout tunnel`). " +
			"Of sites that share a port, the longest `header`, `idle` and `handshake` count: they run before the site is known.",
		Options: []spec.Word{
			d("header", "from the first byte of a request to the end of its header"),
			d("idle", "between two requests of a connection"),
			d("stall", "without any progress of a body, either way"),
			d("drain", "for the rest of a request body that was answered early"),
			d("tunnel", "of a tunnel or stream without traffic"),
			d("queue", "for a turn when the site's maxconn is reached"),
			d("handshake", "for a TLS handshake, or for the start of a TLS stream that is to be looked at"),
		},
	}
}
