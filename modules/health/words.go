package health

import (
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
)

// Modules gives every probe.
func Modules() []Module { return []Module{httpModule, tcpModule, tlsModule} }

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
	return s
}
