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
	set      bool
	key      string // equal for equal senders of PROXY headers, "" for none
	at       diag.Range
	from     *flow.ProxyFrom
	starttls flow.StartTLS
	asked    diag.Range // where starttls is said, or the site's place
	stream   bool       // a stream site has said so, or nothing, of starttls
}

// ahead reads `proxy_protocol` of a site.
func (b *builder) ahead(cfg *config.Site) ahead {
	a := ahead{set: true, at: cfg.Range, asked: cfg.Range, stream: cfg.TCP}
	if n := config.Last(cfg.Body, "starttls"); n != nil {
		a.starttls, a.asked = flow.Postgres, n.Range
	}
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
		return
	case l.ahead.key != a.key:
		d := b.errs.Add(a.at, "proxy-protocol-conflict", "another site says something else of PROXY headers at %s", l.Address)
		d.Labels = append(d.Labels, diag.Label{Range: l.ahead.at, Message: "the other site"})
		d.Help = append(d.Help, "the header comes before anything that tells the sites of a port apart: write the same `proxy_protocol` in all of them")
	case a.stream && l.ahead.stream && l.ahead.starttls != a.starttls:
		d := b.errs.Add(a.asked, "starttls-conflict", "another site says something else of `starttls` at %s", l.Address)
		d.Labels = append(d.Labels, diag.Label{Range: l.ahead.asked, Message: "the other site"})
		d.Help = append(d.Help, "clients ask for TLS before they name a server: write the same `starttls` in all tls:// sites of a port")
	case a.stream && !l.ahead.stream: // web clients, who begin with a ClientHello, are not hindered
		l.ahead.starttls, l.ahead.asked, l.ahead.stream = a.starttls, a.asked, true
	}
}
