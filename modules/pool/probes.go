package pool

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/modules/health"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// health makes a monitor of each server that is probed, and one of each that has
// an agent.
func (b *builder) health() {
	word, own := healthWord(), serverHealthWord()
	b.onlyOne(config.Find(b.cfg.Body, word.Name))
	judge, agent := probesOf(b.cfg.Body)
	n := len(b.p.servers)
	b.p.monitors, b.p.agents, b.p.tracks = make([]*health.Monitor, n), make([]*health.Monitor, n), make([]*track, n)
	for i, n := range config.Find(b.cfg.Body, "server") {
		s := b.p.servers[i]
		if s.Disabled {
			continue
		}
		b.onlyOne(config.Find(n.Options, word.Name))
		ownJudge, ownAgent := probesOf(n.Options)
		if full := probeNode(judge, ownJudge, &word, &own); full != nil && full.Variant == health.Track {
			b.p.tracks[i] = b.follow(s, full)
		} else if full != nil {
			b.p.monitors[i] = b.monitor(s, full)
		}
		if ownJudge != nil && ownJudge.Variant == healthOff {
			continue
		}
		if full := probeNode(agent, ownAgent, &word, &own); full != nil {
			b.p.agents[i] = b.monitor(s, full)
		}
	}
}

// onlyOne refuses a second directive of the same kind.
func (b *builder) onlyOne(all []*config.Node) {
	seen := map[bool]*config.Node{}
	for _, n := range all {
		kind := n.Variant == health.Agent
		if first := seen[kind]; first != nil {
			d := b.errs.Add(n.Range, "duplicate-directive", "`health` is given twice: beside an agent there is one probe")
			d.Labels = append(d.Labels, diag.Label{Range: first.Range, Message: "first given here"})
		}
		seen[kind] = n
	}
}

// probeNode joins what the pool and what the server say of probing; nil is not
// to be probed.
func probeNode(pool, server *config.Node, word, own *spec.Word) *config.Node {
	var n config.Node
	switch {
	case server != nil && server.Variant == healthOff:
		return nil
	case server == nil && pool == nil, server != nil && server.Variant == healthAsPool && pool == nil:
		return nil
	case server == nil:
		n = *pool
	case server.Variant == healthAsPool:
		n = overlay(pool, server)
	default: // another probe: what the pool says of cadence still counts
		n = *server
		if pool != nil {
			base := *pool
			base.Options = only(pool.Options, own.Options)
			n = overlay(&base, server)
			n.Variant, n.Args = server.Variant, server.Args
		}
	}
	complete(&n, word)
	return &n
}

// overlay gives base with the options of over in place of its own.
func overlay(base, over *config.Node) config.Node {
	n := *base
	n.Range = over.Range
	n.Options = nil
	for _, o := range base.Options {
		if !over.Has(o.Word) {
			n.Options = append(n.Options, o)
		}
	}
	n.Options = append(n.Options, over.Options...)
	return n
}

func only(options []config.Node, words []spec.Word) []config.Node {
	var out []config.Node
	for _, o := range options {
		for i := range words {
			if words[i].Name == o.Word {
				out = append(out, o)
			}
		}
	}
	return out
}

func (b *builder) monitor(s *upstream.Server, n *config.Node) *health.Monitor {
	var probe health.Probe
	for _, m := range health.Modules() {
		if m.Spec.Name == n.Variant {
			p, err := m.New(n)
			var placed diag.List
			if errors.As(err, &placed) {
				b.errs = append(b.errs, placed...)
				return nil
			}
			if err != nil {
				b.errs.Add(n.Range, "bad-health", "%s", err)
				return nil
			}
			probe = p
		}
	}
	if probe == nil {
		b.errs.Add(n.Range, "bad-health", "unknown probe %q", n.Variant)
		return nil
	}
	t := health.Target{Network: s.Network, Address: s.Dial, Name: s.Pool + "/" + s.Name,
		Source: s.Source, Connect: s.Timeouts.Connect}
	if n.Has("source") {
		t.Source, _ = b.source(n.Option("source"), false)
	}
	if s.Proxy != nil && n.OptionText("address") == "" && n.OptionText("port") == "" {
		// The probe is our own, and says so. What listens elsewhere than the server
		// does need not read headers (HAProxy manual, "check-send-proxy").
		t.Ahead = s.Proxy.AppendLocal(nil)
	}
	if err := redirect(&t, n); err != nil {
		b.errs.Add(n.Range, "bad-health", "%s", err)
		return nil
	}
	if s.TLS != nil {
		t.TLS = s.TLS.Config
	}
	t.Protocol = probeProtocol(s, n)
	key := health.Key{Server: s.Key, Probe: fingerprint(n, &t) + tlsKey(s)}
	return b.deps.Monitor(key, func() *health.Monitor {
		return &health.Monitor{Target: t, Settings: health.SettingsOf(n), Probe: probe, Live: s.Live, Log: b.p.log,
			Agent: n.Variant == health.Agent}
	})
}

// probeProtocol gives the version of HTTP that a server is probed in: its own. What
// listens elsewhere may know another one, and is spoken to as TLS agrees on it.
func probeProtocol(s *upstream.Server, n *config.Node) upstream.Protocol {
	switch elsewhere := n.OptionText("address") != "" || n.OptionText("port") != ""; {
	case !elsewhere:
		return s.Protocol
	case s.TLS != nil && s.Protocol == upstream.H2:
		return upstream.Auto
	case s.TLS != nil:
		return s.Protocol
	default:
		return upstream.H1
	}
}

// redirect points a probe at another address or port than the server's.
func redirect(t *health.Target, n *config.Node) error {
	host, port := n.OptionText("address"), n.OptionText("port")
	if host == "" && port == "" {
		return nil
	}
	if t.Network != "tcp" && (host == "" || port == "") {
		return fmt.Errorf("server %s is a unix socket: give both an address and a port to probe", t.Name)
	}
	if t.Network == "tcp" {
		h, p, err := net.SplitHostPort(t.Address)
		if err != nil {
			return fmt.Errorf("server %s: %w", t.Name, err)
		}
		if host == "" {
			host = h
		}
		if port == "" {
			port = p
		}
	}
	t.Network, t.Address = "tcp", net.JoinHostPort(host, port)
	return nil
}

// fingerprint tells everything a monitor depends on apart from its server.
func fingerprint(n *config.Node, t *health.Target) string {
	var f strings.Builder
	fmt.Fprintf(&f, "%s %s %s %s %s %d %q", n.Variant, t.Network, t.Address, t.Source, t.Connect, t.Protocol, t.Ahead)
	var write func(n *config.Node)
	write = func(n *config.Node) {
		for _, a := range n.Args {
			fmt.Fprintf(&f, " %q", a.Text)
		}
		for i := range n.Options {
			fmt.Fprintf(&f, " %s %s", n.Options[i].Word, n.Options[i].Variant)
			write(&n.Options[i])
		}
	}
	write(n)
	return f.String()
}
