package pool

import (
	"strings"
	"sync"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/modules/health"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// track is one server that follows another.
type track struct {
	of   *upstream.Live
	name string // pool/server
	mu   sync.Mutex
}

// follow finds whom a server follows, over as many steps as it takes to one
// that is probed, so that a circle or a dead end is found here.
func (b *builder) follow(s *upstream.Server, n *config.Node) *track {
	seen := map[string]bool{s.Pool + "/" + s.Name: true}
	var first *track
	for at := n; ; {
		where := argRange(at)
		name := at.Text(0)
		body, server := b.named(name)
		switch {
		case server == nil:
			d := b.errs.Add(where, "undefined-name", "there is no server %q to track", name)
			d.Help = append(d.Help, "write POOL/SERVER, as in `health track web/web1`")
			return nil
		case seen[name]:
			d := b.errs.Add(argRange(n), "track-loop", "server %s/%s tracks itself in the end", s.Pool, s.Name)
			d.Labels = append(d.Labels, diag.Label{Range: where, Message: "here the circle closes"})
			return nil
		}
		seen[name] = true
		pool, _, _ := strings.Cut(name, "/")
		if first == nil {
			first = &track{name: name, of: b.deps.Live(upstream.Key{Pool: pool, Name: server.Text(0), Address: server.Text(1)})}
		}
		next := mainProbe(body, server)
		if next == nil {
			d := b.errs.Add(argRange(n), "track-unprobed", "server %s is not probed: there is nothing to track", name)
			d.Labels = append(d.Labels, diag.Label{Range: server.Range, Message: "this one"})
			return nil
		}
		if next.Variant != health.Track {
			return first
		}
		at = next
	}
}

func argRange(n *config.Node) diag.Range {
	if len(n.Args) > 0 && !n.Args[0].Range.IsZero() {
		return n.Args[0].Range
	}
	return n.Range
}

// named finds a server of the configuration by POOL/SERVER.
func (b *builder) named(name string) (body []config.Node, server *config.Node) {
	pool, want, _ := strings.Cut(name, "/")
	pools := b.deps.Pools
	if pools == nil {
		pools = []config.Pool{*b.cfg}
	}
	for i := range pools {
		if pools[i].Name != pool {
			continue
		}
		for _, s := range config.Find(pools[i].Body, "server") {
			if s.Text(0) == want {
				return pools[i].Body, s
			}
		}
	}
	return nil, nil
}

// mainProbe gives the node that says how a server is probed, nil if it is not.
func mainProbe(body []config.Node, server *config.Node) *config.Node {
	pool, _ := probesOf(body)
	own, _ := probesOf(server.Options)
	switch {
	case server.Has("disabled"), own != nil && own.Variant == healthOff:
		return nil
	case own == nil || own.Variant == healthAsPool:
		return pool
	}
	return own
}

// probesOf tells the two kinds of `health` apart: the one that judges, and the
// agent that advises.
func probesOf(nodes []config.Node) (judge, agent *config.Node) {
	for _, n := range config.Find(nodes, "health") {
		if n.Variant == health.Agent {
			agent = n
		} else {
			judge = n
		}
	}
	return judge, agent
}

// start has a server follow. The verdict is read anew at each change under a
// lock, so that of two changes the older one is never told last.
func (t *track) start(p *Pool, s *upstream.Server) (cancel func()) {
	s.Live.Own(p)
	apply := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		s.Live.SetCounter(0)
		s.Live.Judge(p, t.of.Verdict(), "via "+t.name)
	}
	cancel = t.of.Subscribe(func(c upstream.Change) {
		if c.Kind == upstream.Verdicts {
			apply()
		}
	})
	if s.Live.Verdict() != t.of.Verdict() {
		apply()
	}
	return cancel
}
