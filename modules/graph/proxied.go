package graph

import (
	"fmt"
	"slices"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/matcher"
)

// ahead is what a site says of the bytes that come before those by which sites
// are told apart: all sites of a socket must say the same.
type ahead struct {
	set  bool
	key  string // equal for equal settings, "" for none
	at   diag.Range
	from *flow.ProxyFrom
}

// ahead reads `proxy_protocol` of a site.
func (b *builder) ahead(cfg *config.Site) ahead {
	a := ahead{set: true, at: cfg.Range}
	n := config.Last(cfg.Body, "proxy_protocol")
	if n == nil {
		return a
	}
	a.at = n.Range
	from := n.Option("from")
	if from == nil { // the linter refuses it, with more words
		from = &config.Node{}
	}
	nets, err := matcher.NewNets(from.Args)
	if err != nil {
		b.fail(n, err)
		return a
	}
	names := from.Texts(0)
	slices.Sort(names)
	a.from = &flow.ProxyFrom{Nets: nets, Timeout: n.OptionDuration("timeout")}
	a.key = fmt.Sprintf("proxy %q %s", names, a.from.Timeout)
	return a
}

// agree notes on a socket what a site says of it, and reports one that says
// something else than those before.
func (b *builder) agree(l *Listener, cfg *config.Site) {
	a := b.ahead(cfg)
	switch {
	case !l.ahead.set:
		l.ahead = a
	case l.ahead.key != a.key:
		d := b.errs.Add(a.at, "proxy-protocol-conflict", "another site says something else of PROXY headers at %s", l.Address)
		d.Labels = append(d.Labels, diag.Label{Range: l.ahead.at, Message: "the other site"})
		d.Help = append(d.Help, "the header comes before anything that tells the sites of a port apart: write the same `proxy_protocol` in all of them")
	}
}
