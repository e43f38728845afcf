package health

import (
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
)

// Modules gives every probe.
func Modules() []Module {
	return []Module{
		httpModule, tcpModule, tlsModule, sslHelloModule, smtpModule, redisModule,
		pgsqlModule, mysqlModule, ldapModule, grpcModule, execModule, agentModule,
	}
}

// Track is the variant of `health` that follows another server. It has no probe;
// modules/pool sees to it.
const Track = "track"

// TrackWord is the vocabulary of Track.
func TrackWord() spec.Word {
	return spec.Word{
		Name: Track, Doc: "The server is well if another one is: it is not probed itself",
		Long: "For a server that stands in several pools: one of them probes it, the others follow. The server that is followed must be " +
			"probed, or follow another itself, but not in a circle.",
		Example: "health track web/web1",
		Args:    []spec.Arg{{Name: "POOL/SERVER", Kind: spec.String, Doc: "a server of this or another pool"}},
	}
}

// Options gives the options that all probes take.
func Options() []spec.Word {
	duration := func(name, def, doc string) spec.Word {
		return spec.Word{Name: name, Doc: doc, Default: def, Example: "interval 2s",
			Args: []spec.Arg{{Name: "DURATION", Kind: spec.Duration, Min: int64(time.Millisecond), Doc: "a time"}}}
	}
	count := func(name, def, doc string) spec.Word {
		return spec.Word{Name: name, Doc: doc, Default: def,
			Args: []spec.Arg{{Name: "N", Kind: spec.Int, Min: 1, Max: 1000, Doc: "a number of probes"}}}
	}
	return []spec.Word{
		duration("interval", "2s", "the time from one probe to the next"),
		duration("fast_interval", "", "the same while the server is on its way up or down (else: interval)"),
		duration("down_interval", "", "the same while the server is down (else: interval)"),
		duration("timeout", "", "how long the answer may take once connected (else: interval)"),
		count("rise", "2", "how many probes in a row must pass for a server that is down to be up"),
		count("fall", "3", "how many probes in a row must fail for a server that is up to be down"),
		{Name: "initial", Doc: "the state before the first probe", Default: "up",
			Long: "`up`: used at once, the first probe that fails brings it down. `down`: not used, the first probe that passes brings it up. " +
				"`fully_up` and `fully_down` need `fall` and `rise` probes (HAProxy's `init-state`). After a reload the state is what it was.",
			Args: []spec.Arg{{Name: "STATE", Kind: spec.Enum, Words: []string{"up", "down", "fully_up", "fully_down"}, Doc: "a state"}}},
		{Name: "port", Doc: "the port to probe, if not the server's own",
			Args: []spec.Arg{{Name: "PORT", Kind: spec.Port, Doc: "a port"}}},
		{Name: "address", Doc: "the host to probe, if not the server's own",
			Args: []spec.Arg{{Name: "HOST", Kind: spec.String, Doc: "a host name or an IP address"}}},
		{Name: "source", Doc: "the address to probe from",
			Args: []spec.Arg{{Name: "IP", Kind: spec.Network, Doc: "an address of this machine"}}},
	}
}

// SettingsOf reads cadence and thresholds.
func SettingsOf(n *config.Node) Settings {
	s := Settings{
		Interval: n.OptionDuration("interval"), Fast: n.OptionDuration("fast_interval"),
		Down: n.OptionDuration("down_interval"), Timeout: n.OptionDuration("timeout"),
		Rise: int(n.OptionInt("rise")), Fall: int(n.OptionInt("fall")),
	}
	switch n.OptionText("initial") {
	case "down":
		s.Initial = InitialDown
	case "fully_up":
		s.Initial = FullyUp
	case "fully_down":
		s.Initial = FullyDown
	}
	return s
}
