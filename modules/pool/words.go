package pool

import (
	"math"
	"slices"

	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/modules/balancer"
	"github.com/loadstar-lb/loadstar/modules/health"
	"github.com/loadstar-lb/loadstar/modules/persistence"
	"github.com/loadstar-lb/loadstar/modules/transport"
)

// Words gives the vocabulary of pools.
func Words() []spec.Word {
	return []spec.Word{
		balanceWord(), serverWord(), healthWord(), persistWord(),
		transport.TLSWord(), transport.ProtocolWord(), sourceWord(), proxyProtocolWord(),
		queueWord, retryWord, timeoutWord, allBackupsWord, fullconnWord, passiveWord,
	}
}

func balanceWord() spec.Word {
	w := spec.Word{
		Name: "balance", In: spec.InPool, Variant: "roundrobin",
		Doc:     "How a server is chosen",
		Example: "balance leastconn",
	}
	for _, m := range balancer.Modules() {
		w.Variants = append(w.Variants, m.Spec)
	}
	return w
}

func healthWord() spec.Word {
	w := spec.Word{
		Name: "health", In: spec.InPool, Repeat: true,
		Doc: "How servers are probed",
		Long: "Without it servers are not probed. A server starts up; the first probe that fails marks it down. After that, " +
			"`fall` failures in a row mark it down and `rise` successes bring it back. Whatever the probes say, a server that " +
			"cannot be connected to three times in a row is left out for a second (longer each time), while others are usable.",
		Example: "health http GET /health expect 200-399 interval 2s rise 2 fall 3",
		Options: health.Options(),
	}
	for _, m := range health.Modules() {
		w.Variants = append(w.Variants, m.Spec)
	}
	w.Variants = append(w.Variants, health.TrackWord())
	return w
}

// The variants of a server's own `health`.
const (
	healthAsPool = "as_pool"
	healthOff    = "off"
)

// serverHealthWord is the same without defaults: what it does not say, the pool
// says.
func serverHealthWord() spec.Word {
	w := healthWord()
	w.In, w.Variant = 0, healthAsPool
	w.Doc = "What is different about probing this server"
	w.Long = ""
	w.Example = "server s1 10.0.0.1:80 health off"
	w.Options = withoutDefaults(w.Options)
	for i := range w.Variants {
		w.Variants[i].Options = withoutDefaults(w.Variants[i].Options)
	}
	w.Variants = append(w.Variants,
		spec.Word{Name: healthAsPool, Doc: "The pool's probe, with the options given here"},
		spec.Word{Name: healthOff, Doc: "No probes: the server counts as up"})
	return w
}

func withoutDefaults(words []spec.Word) []spec.Word {
	out := slices.Clone(words)
	for i := range out {
		out[i].Default = ""
		out[i].Required = false
	}
	return out
}

func persistWord() spec.Word {
	w := spec.Word{
		Name: "persist", In: spec.InPool,
		Doc:     "How a client is kept on the server that it had before",
		Example: "persist cookie SERVERID insert indirect nocache",
	}
	for _, m := range persistence.Modules() {
		w.Variants = append(w.Variants, m.Spec)
	}
	return w
}

func number(name string, limit int64, doc string) spec.Word {
	return spec.Word{Name: name, Doc: doc, Args: []spec.Arg{{Name: "N", Kind: spec.Int, Max: limit, Doc: "a number"}}}
}

func duration(name, def, doc string) spec.Word {
	return spec.Word{Name: name, Doc: doc, Default: def,
		Args: []spec.Arg{{Name: "DURATION", Kind: spec.Duration, Doc: "a time; 0s: no limit"}}}
}

func serverWord() spec.Word {
	weight := number("weight", 256, "its share of the traffic, relative to the others'; 0 drains it")
	weight.Default = "1"
	timeouts := timeoutWord
	timeouts.In = 0
	timeouts.Doc = "What is different about this server's timeouts"
	timeouts.Example = "server s1 10.0.0.1:80 timeout first_byte 2m"
	timeouts.Options = withoutDefaults(timeouts.Options)
	return spec.Word{
		Name: "server", In: spec.InPool, Repeat: true,
		Doc:     "One server of the pool",
		Example: "server web1 10.0.0.1:80 weight 2 maxconn 100",
		Args: []spec.Arg{
			{Name: "NAME", Kind: spec.String, Doc: "its name in logs and statistics"},
			{Name: "ADDRESS", Kind: spec.Address, Doc: "host:port, or unix//path"},
		},
		Options: []spec.Word{
			weight,
			number("maxconn", math.MaxInt32, "how many exchanges or streams it serves at once; others wait (0: any number)"),
			number("minconn", math.MaxInt32, "the limit without load, which grows to maxconn as the pool's load grows to fullconn"),
			number("maxqueue", math.MaxInt32, "how many may wait for this very server before they go to another (0: any number)"),
			{Name: "backup", Doc: "used only when no other server is usable"},
			{Name: "disabled", Doc: "in maintenance: not used, not probed"},
			{Name: "cookie", Doc: "what `persist cookie` calls it",
				Args: []spec.Arg{{Name: "VALUE", Kind: spec.String, Doc: "a cookie value"}}},
			duration("slow_start", "", "how long weight and limit take to grow to the full after it came up"),
			serverSourceWord(),
			serverProxyProtocolWord(),
			serverHealthWord(),
			transport.ServerTLSWord(),
			transport.ServerProtocolWord(),
			timeouts,
		},
	}
}

var queueWord = spec.Word{
	Name: "queue", In: spec.InPool,
	Doc: "How long, and how many, exchanges and streams wait for a slot of a server with a maxconn",
	Long: "Who may go to any server waits in the pool's line, who is bound to one by persistence or a hash in that server's. A slot goes to " +
		"who has waited longest in either; the option `priority` of `proxy` puts some before others. Who leaves gives the place back " +
		"within a tenth of a second.",
	Example: "queue timeout 5s size 1000",
	Options: []spec.Word{
		duration("timeout", "5s", "how long one waits; then the answer is 503"),
		func() spec.Word {
			w := number("size", math.MaxInt32, "how many wait at most, those bound to a server included; more get 503 at once (0: any number)")
			w.Default = "0"
			return w
		}(),
	},
}

var retryWord = spec.Word{
	Name: "retry", In: spec.InPool,
	Doc: "How often a failed try is repeated, and after what",
	Long: "By itself only what no server can have begun to see is repeated, and once what is safe (GET, HEAD, OPTIONS, TRACE; RFC 9110 §9.2.1) " +
		"and broke before its answer. Not seen is: no connection stood; the server closed a used one, in good order, before it had any byte of " +
		"the request; it said itself that it served nothing of it (GOAWAY, REFUSED_STREAM, H3_REQUEST_REJECTED). After a reset nobody can tell, " +
		"and a POST is answered 502. `on` says instead what is repeated: `connect_failure` (no connection stood), `refused` (of those, only " +
		"the refused), `timeout` (no answer within `timeout first_byte`), `empty_response` (closed without a byte of an answer), and " +
		"statuses (`503`, `5xx`), whose answers are passed on only by the last try. What a server may have seen is repeated if its method is " +
		"idempotent (RFC 9110 §9.2.2), or with `any_method`; a body only if all of it that was sent is still there. A retry goes to " +
		"another server, when there is one, at once; with `redispatch off`, and without another, to the same one after a second " +
		"(or its connect timeout, if that is shorter).",
	Example: "retry 3 redispatch",
	Args: []spec.Arg{{Name: "N", Kind: spec.Int, Max: 100, Optional: true, Default: "3",
		Doc: "tries after the first one"}},
	Options: []spec.Word{
		{Name: "redispatch", Doc: "a retry goes to another server when there is one", Default: "on",
			Args: []spec.Arg{{Name: "WHEN", Kind: spec.Enum, Words: []string{"on", "off"}, Optional: true, Default: "on",
				Doc: "on or off"}}},
		{Name: "on", Doc: "what is repeated",
			Args: []spec.Arg{{Name: "CONDITION", Kind: spec.String, Variadic: true,
				Doc: "connect_failure, refused, timeout, empty_response, statuses"}}},
		{Name: "any_method", Doc: "`on` counts for POST, PATCH and unknown methods as well: what they do may be done twice"},
		{Name: "budget", Doc: "at most that share of the last ten seconds' requests are retries (but ten a second always may be)", Default: "20%",
			Args: []spec.Arg{{Name: "PERCENT", Kind: spec.Percent, Max: 1000, Doc: "of the requests"}}},
		{Name: "buffer", Doc: "how much of a request's body is kept to be sent again (without: what came together with the header)",
			Args: []spec.Arg{{Name: "SIZE", Kind: spec.Size, Min: 1, Max: 64 << 20, Doc: "bytes a request"}}},
	},
}

var timeoutWord = spec.Word{
	Name: "timeout", In: spec.InPool, Repeat: true,
	Doc:     "How long phases on the server side may take",
	Example: "timeout connect 5s first_byte 30s",
	Options: []spec.Word{
		duration("connect", "5s", "until the connection to the server stands"),
		duration("first_byte", "30s", "from the end of the request to the head of the answer"),
		duration("idle", "30s", "a pooled connection between two exchanges"),
		duration("stall", "30s", "without progress inside a body"),
		duration("tunnel", "1h", "a tunnel or a stream without traffic"),
	},
}

var allBackupsWord = spec.Word{
	Name: "all_backups", In: spec.InPool,
	Doc:     "When only backups are usable, balance over all of them rather than use the first",
	Example: "all_backups",
}

var fullconnWord = spec.Word{
	Name: "fullconn", In: spec.InPool,
	Doc:     "The pool's load at which servers with a minconn have their whole maxconn",
	Example: "fullconn 2000",
	Args: []spec.Arg{{Name: "N", Kind: spec.Int, Min: 1, Max: math.MaxInt32,
		Doc: "exchanges and streams (without the directive: a tenth of the process's maxconn)"}},
}
