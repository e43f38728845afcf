package check

import (
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/spec"
)

// tableWord is the block that defines a table; what it takes is said by the
// vocabulary's directive of that name at the top level.
const tableWord = "table"

// tableBlock checks `table NAME { … }`.
func (c *checker) tableBlock(st stmt) {
	n := c.node(st, c.opt.Vocabulary.Directive(spec.InTop, tableWord), scope{where: spec.InTop})
	if len(n.Args) == 0 || len(st.words) < 2 {
		return // what is missing has been said
	}
	name := st.words[1]
	if !isIdent(name.text) {
		c.errorf(name.place, "bad-name", "%q is no name for a table: use letters, digits, _, - and .", name.text)
		return
	}
	if first := c.tables[name.text]; first != nil {
		d := c.errorf(name.place, "duplicate-table", "the table %q is defined twice", name.text)
		d.Labels = append([]diag.Label{{Range: first.rng, Message: "first defined here"}}, d.Labels...)
		return
	}
	c.tables[name.text] = &poolEntry{place: name.place}
	c.tableNames = append(c.tableNames, name.text)
	c.config.Tables = append(c.config.Tables, n)
}

// resolveTables checks the names of tables that were used.
func (c *checker) resolveTables() {
	for _, w := range c.tableUses {
		if t := c.tables[w.text]; t != nil {
			t.used = true
			continue
		}
		if c.broken || w.bad {
			continue // it may stand in the file that could not be read
		}
		d := c.errorf(w.place, "undefined-name", "there is no table %q", w.text)
		if !c.guess(d, w.text, c.tableNames) {
			d.Help = append(d.Help, "a table is defined at the top level by `table "+w.text+" { … }`")
		}
	}
}
