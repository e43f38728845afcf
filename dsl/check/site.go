package check

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/spec"
)

// scope is what the statements of a block may use.
type scope struct {
	where spec.Where
	site  *config.Site // nil outside of sites
	names *names       // the matchers in sight
}

// siteBlock checks one site.
func (c *checker) siteBlock(st stmt) {
	c.config.Sites = append(c.config.Sites, config.Site{Name: siteName(st), Range: st.rng})
	site := &c.config.Sites[len(c.config.Sites)-1]
	site.Addresses = c.addresses(st)
	sc := scope{where: spec.InHTTPSite, site: site}
	if len(site.Addresses) > 0 {
		site.Name = site.Addresses[0].Text
		site.TCP = isStream(site.Addresses[0])
	} else {
		site.TCP = strings.HasPrefix(site.Name, "tcp:") || strings.HasPrefix(site.Name, "tls:")
	}
	for _, a := range site.Addresses {
		if isStream(a) != site.TCP {
			d := c.errorf(place{a.Range, st.from}, "mixed-site", "a site is either of HTTP or of TCP; %q is the other kind", a.Text)
			d.Help = append(d.Help, "write two sites, and import what they share from a snippet")
			break
		}
	}
	if site.TCP {
		sc.where = spec.InTCPSite
	}
	site.Body = c.body(c.expand(st.block.Statements, st.from), sc)
	slices.SortStableFunc(site.Matchers, func(a, b config.Matcher) int {
		return cmp.Or(cmp.Compare(a.Range.File, b.Range.File), cmp.Compare(a.Range.Start.Offset, b.Range.Start.Offset))
	})
	c.fillDefaults(&site.Body, sc.where, site.Range)
}

func isStream(a config.Address) bool { return a.Scheme == "tcp" || a.Scheme == "tls" }

func siteName(st stmt) string {
	name, _, _ := strings.Cut(st.words[0].text, ",")
	return name
}

// checkSites compares the addresses of all sites.
func (c *checker) checkSites() {
	type claim struct {
		address *config.Address
		bind    string
	}
	sites := make(map[string]claim)
	ports := make(map[uint16]claim)
	for i := range c.config.Sites {
		s := &c.config.Sites[i]
		bind := bindOf(s)
		for j := range s.Addresses {
			a := &s.Addresses[j]
			if a.Port == 0 && a.Path == "" {
				continue // any free port: never the same one twice
			}
			now := claim{a, bind}
			key := siteKey(a) + " " + bind
			if first, ok := sites[key]; ok {
				c.twoSites("duplicate-site", "the site %q is defined twice", a, first.address)
				continue
			}
			sites[key] = now
			first, ok := ports[a.Port]
			if !ok {
				ports[a.Port] = now
			} else if a.Path == "" && first.bind == bind && conflicts(first.address, a) {
				c.twoSites("port-conflict", "%q cannot share its port with a site of another kind", a, first.address)
			}
		}
	}
}

func (c *checker) twoSites(rule, format string, a, first *config.Address) {
	d := c.errorf(place{rng: a.Range}, rule, format, a.Text)
	d.Labels = append(d.Labels, diag.Label{Range: first.Range, Message: "first defined here"})
}

// bindOf gives the addresses that a site's `bind` names, in a fixed order.
func bindOf(s *config.Site) string {
	var all []string
	for _, n := range config.Find(s.Body, "bind") {
		all = append(all, n.Texts(0)...)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// siteKey is equal for addresses that mean the same.
func siteKey(a *config.Address) string {
	if a.Path != "" {
		return "unix " + a.Path + " " + a.Host
	}
	kind := "name"
	if a.Scheme == "tcp" {
		kind = "tcp"
	}
	return kind + " " + a.Host + ":" + strconv.Itoa(int(a.Port))
}

// conflicts reports whether two addresses of one port cannot be told apart by
// what the client sends first.
func conflicts(a, b *config.Address) bool {
	if a.Scheme == "tcp" || b.Scheme == "tcp" {
		return a.Scheme != b.Scheme && (a.Scheme != "tcp" || a.Host == "") && (b.Scheme != "tcp" || b.Host == "")
	}
	return a.TLS != b.TLS
}

// body checks the statements of a block.
func (c *checker) body(in []stmt, sc scope) []config.Node {
	up := sc.names
	if sc.site != nil {
		sc.names = c.defineMatchers(in, up)
	}
	out := make([]config.Node, 0, len(in)+c.defaultCount(sc.where))
	var seen firsts
	for _, st := range in {
		if sc.site != nil && isMatcherName(st.name()) {
			continue // defined above
		}
		w := c.directive(st, sc)
		if w == nil {
			continue
		}
		if !w.Repeat && !w.Matcher {
			if first, ok := seen.of(w, st.place); !ok {
				c.twice(st, w, first)
				continue
			}
		}
		out = append(out, config.Node{})
		c.nodeInto(&out[len(out)-1], st, w, sc)
	}
	if sc.site != nil {
		c.keepMatchers(sc, up)
	}
	return out
}

// firsts are the words of a block that may stand there once, and their places;
// they are no more than the vocabulary has, so that a list serves.
type firsts []struct {
	word *spec.Word
	at   place
}

// of notes the place of a word, or gives the one that it had before.
func (f *firsts) of(w *spec.Word, at place) (place, bool) {
	for i := range *f {
		if (*f)[i].word.Name == w.Name {
			return (*f)[i].at, false
		}
	}
	*f = append(*f, struct {
		word *spec.Word
		at   place
	}{w, at})
	return at, true
}

// twice reports a directive or an option that may be given only once.
func (c *checker) twice(st stmt, w *spec.Word, first place) {
	d := c.errorf(st.name().place, "duplicate-option", "`%s` is given twice", w.Name)
	d.Labels = append([]diag.Label{{Range: first.rng, Message: "first given here"}}, d.Labels...)
	if len(w.Options) > 0 || len(w.Args) > 0 && w.Args[len(w.Args)-1].Variadic {
		d.Help = append(d.Help, "write both in one")
	}
}

// directive finds the vocabulary's word for a statement; it reports one that
// does not exist or may not stand here.
func (c *checker) directive(st stmt, sc scope) *spec.Word {
	name := st.name()
	if len(st.words) == 0 {
		c.errorf(st.place, "syntax", "a block needs a directive before its `{`")
		return nil
	}
	if w := c.opt.Vocabulary.Directive(sc.where, name.text); w != nil {
		return w
	}
	if w := c.anyDirective(name.text); w != nil {
		c.misplaced(name, w, sc)
		return nil
	}
	d := c.errorf(name.place, "unknown-directive", "unknown directive %q in %s", name.text, whereText(sc.where))
	suggest(d, name.text, c.directiveNames(sc.where, nil))
	return nil
}

// misplaced reports a directive that exists, but not here.
func (c *checker) misplaced(name word, w *spec.Word, sc scope) {
	if sc.where == spec.InTCPSite && w.In&spec.InHTTPSite != 0 {
		d := c.errorf(name.place, "http-in-tcp-site", "`%s` works on HTTP requests; this site is tcp", w.Name)
		d.Help = append(d.Help, "TLS passes through untouched here: no cookies, headers or paths can be seen; to use them, terminate TLS in an https site")
		return
	}
	d := c.errorf(name.place, "misplaced-directive", "`%s` cannot stand in %s", w.Name, whereText(sc.where))
	d.Help = append(d.Help, belongs(w))
}

func (c *checker) anyDirective(name string) *spec.Word {
	return c.opt.Vocabulary.Directive(^spec.Where(0), name)
}

// directiveNames gives the words that are legal at a place.
func (c *checker) directiveNames(where spec.Where, to []string) []string {
	for i := range c.opt.Vocabulary.Directives {
		if d := &c.opt.Vocabulary.Directives[i]; d.In&where != 0 {
			to = append(to, d.Name)
		}
	}
	return to
}

func belongs(w *spec.Word) string {
	var in []string
	for _, where := range []spec.Where{spec.InProcess, spec.InHTTPSite, spec.InTCPSite, spec.InPool, spec.InTop} {
		if w.In&where != 0 {
			in = append(in, whereText(where))
		}
	}
	return "it belongs in " + strings.Join(in, " or ")
}

func whereText(w spec.Where) string {
	switch {
	case w&spec.InHTTPSite != 0:
		return "an HTTP site"
	case w&spec.InTCPSite != 0:
		return "a tcp site"
	case w&spec.InPool != 0:
		return "a pool"
	case w&spec.InTop != 0:
		return "the top level of the file"
	default:
		return "the global options"
	}
}
