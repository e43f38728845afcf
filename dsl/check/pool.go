package check

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/spec"
)

// poolEntry is what is known of a named pool, or of a table.
type poolEntry struct {
	place
	used bool
}

// serverWord is the directive that names the servers of a pool.
const serverWord = "server"

// poolBlock checks `pool NAME { … }`.
func (c *checker) poolBlock(st stmt) {
	if st.block == nil || len(st.words) != 2 {
		at := st.place
		if len(st.words) > 2 {
			at = st.words[2].place
		}
		d := c.errorf(at, "missing-argument", "`pool` needs one name and a block")
		d.Help = append(d.Help, "usage: pool NAME { … }, the `{` on the same line")
		if st.block == nil {
			return
		}
	}
	var name word
	if len(st.words) > 1 {
		name = st.words[1]
		c.definePool(name)
	}
	sc := scope{where: spec.InPool}
	body := c.body(c.expand(st.block.Statements, st.from), sc)
	c.finishPool(&body, name.place)
	c.config.Pools = append(c.config.Pools, config.Pool{Name: name.text, Body: body, Range: name.rng})
}

func (c *checker) definePool(name word) {
	if !isIdent(name.text) {
		c.errorf(name.place, "bad-name", "%q is no name for a pool: use letters, digits, _, - and .", name.text)
		return
	}
	if first := c.pools[name.text]; first != nil {
		d := c.errorf(name.place, "duplicate-pool", "the pool %q is defined twice", name.text)
		d.Labels = append([]diag.Label{{Range: first.rng, Message: "first defined here"}}, d.Labels...)
		return
	}
	c.pools[name.text] = &poolEntry{place: name.place}
	c.poolNames = append(c.poolNames, name.text)
}

// finishPool checks what concerns the servers of one pool together.
func (c *checker) finishPool(body *[]config.Node, at place) {
	servers := config.Find(*body, serverWord)
	first := make(map[string]diag.Range, len(servers))
	for _, n := range servers {
		name := n.Text(0)
		r := n.Range
		if len(n.Args) > 0 {
			r = n.Args[0].Range
		}
		if before, ok := first[name]; ok {
			d := c.errorf(place{r, at.from}, "duplicate-server-name", "two servers of this pool are called %q", name)
			d.Labels = append([]diag.Label{{Range: before, Message: "first defined here"}}, d.Labels...)
			continue
		}
		first[name] = r
		c.checkServerAddress(n, at)
	}
	c.fillDefaults(body, spec.InPool, at.rng)
}

// checkServerAddress wants what a server's address needs and a listener's does
// not: a host, and a port other than 0.
func (c *checker) checkServerAddress(n *config.Node, at place) {
	for _, v := range n.Args {
		if v.Kind != spec.Address || v.Text == "" || isUnix(v.Text) {
			continue
		}
		if strings.HasPrefix(v.Text, ":") {
			c.errorf(place{v.Range, at.from}, "bad-value", "the address of a server needs a host, as in 127.0.0.1%s", v.Text)
		} else if _, port, _ := splitPort(v.Text); port != "" && strings.Trim(port, "0") == "" {
			c.errorf(place{v.Range, at.from}, "bad-value", "a server cannot listen at port 0")
		}
	}
}

// inlinePool makes a pool of the addresses of `proxy ADDR… { … }`; its name
// says which site it stands in, and the how manieth it is there.
func (c *checker) inlinePool(addrs []word, sc scope) config.Pool {
	c.inlineCount[sc.site.Name]++
	name := sc.site.Name + "#" + strconv.Itoa(c.inlineCount[sc.site.Name])
	p := config.Pool{Name: name, Inline: true, Range: addrs[0].rng}
	p.Body = make([]config.Node, 0, len(addrs)+c.defaultCount(spec.InPool))
	server := c.opt.Vocabulary.Directive(spec.InPool, serverWord)
	for i, a := range addrs {
		if server == nil {
			break
		}
		words := []word{{text: serverWord, plain: true, place: a.place}, {text: fmt.Sprintf("s%d", i+1), place: a.place}, a}
		p.Body = append(p.Body, c.node(stmt{words: words, place: a.place}, server, scope{where: spec.InPool}))
	}
	return p
}

// isAddress tells the address of an inline pool's server from the name of a
// pool, which can hold no colon and no slash.
func isAddress(text string) bool { return strings.ContainsAny(text, ":/") }

func isUnix(text string) bool { return strings.HasPrefix(text, "unix/") }

// resolvePools checks the names of pools that were used.
func (c *checker) resolvePools() {
	for _, w := range c.poolUses {
		if p := c.pools[w.text]; p != nil {
			p.used = true
			continue
		}
		if c.broken {
			continue // it may stand in the file that could not be read
		}
		d := c.errorf(w.place, "undefined-name", "there is no pool %q", w.text)
		if !c.guess(d, w.text, c.poolNames) {
			d.Help = append(d.Help, "a pool is defined by `pool "+w.text+" { … }`; a server is written with its port, as in 10.0.0.1:80")
		}
	}
}

// warnUnused warns of what is defined and never used.
func (c *checker) warnUnused() {
	if c.broken || c.errs.HasErrors() {
		return // what is unused then is often only misspelt where it is used
	}
	for _, m := range c.matchers {
		if !m.used {
			c.warnf(m.at, "unused-name", "the matcher @%s is never used", m.name)
		}
	}
	for _, name := range c.poolNames {
		if p := c.pools[name]; !p.used {
			c.warnf(p.place, "unused-name", "the pool %q is never used", name)
		}
	}
	for _, name := range c.tableNames {
		if t := c.tables[name]; !t.used {
			c.warnf(t.place, "unused-name", "the table %q is never used", name)
		}
	}
	for _, name := range c.snipNames {
		if s := c.snippets[name]; !s.used {
			c.warnf(place{s.rng, s.from}, "unused-name", "the snippet %q is never imported", name)
		}
	}
}
