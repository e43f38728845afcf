package check

import (
	"strconv"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/dsl/syntax"
)

// topWords are the words that begin a block of the top level; everything else
// there is the address of a site.
var topWords = []string{"pool", "import", "test"}

// testWord is the block of a check of the routing.
const testWord = "test"

// laterWords are kept free for later releases.
var laterWords = map[string]bool{"table": true, "resolver": true, "cluster": true}

// top checks a whole file.
func (c *checker) top(file *syntax.File) {
	root := &origin{file: file.Name}
	read := c.topStatements(nil, file.Statements, root)
	all := make([]stmt, 0, len(read))
	for _, st := range read {
		if st.name().is("import") { // of a snippet: all of them are known now
			all = c.importInto(all, st)
		} else {
			all = append(all, st)
		}
	}
	for i, st := range all {
		c.topStatement(st, i == 0)
	}
	c.fillDefaults(&c.config.Process, spec.InProcess, diag.Range{File: file.Name})
	c.checkSites()
	c.resolvePools()
	c.resolveTables()
	c.config.Pools = append(c.config.Pools, c.inline...)
	c.warnUnused()
}

// topStatements gathers the top level of a file and of the files it imports,
// and the snippets defined there.
func (c *checker) topStatements(out []stmt, in []*syntax.Statement, o *origin) []stmt {
	for _, s := range in {
		if c.tooMany(s, o) {
			return out
		}
		if name := snippetName(s); name != "" {
			c.defineSnippet(name, s, o)
			continue
		}
		st := c.statement(s, o)
		if !st.name().is("import") || len(st.words) != 2 || st.block != nil || !isFile(st.words[1].text) {
			out = append(out, st)
			continue
		}
		for _, f := range c.filesOf(st.words[1]) {
			out = c.topStatements(out, f.Statements, &origin{
				parent: o, at: st.rng, what: "file " + quoted(f.Name), file: f.Name, depth: o.depth + 1,
			})
		}
	}
	return out
}

func (c *checker) defineSnippet(name string, s *syntax.Statement, o *origin) {
	at := place{s.Words[0].Range, o}
	if !isIdent(name) || isFile(name) {
		c.errorf(at, "bad-name", "%q is no name for a snippet: use letters, digits, _ and -", name)
		return
	}
	if first := c.snippets[name]; first != nil {
		if first.rng != at.rng { // otherwise the file itself came twice, by two imports
			d := c.errorf(at, "duplicate-snippet", "the snippet %q is defined twice", name)
			d.Labels = append(d.Labels, diag.Label{Range: first.rng, Message: "first defined here"})
		}
		return
	}
	def := &snippet{name: name, body: s.Block, from: o, rng: at.rng}
	def.countArgs(s.Block.Statements)
	c.snippets[name] = def
	c.snipNames = append(c.snipNames, name)
}

func (c *checker) topStatement(st stmt, first bool) {
	name := st.name()
	switch {
	case len(st.words) == 0:
		c.processBlock(st, first)
	case name.is("pool"):
		c.poolBlock(st)
	case name.is(testWord):
		c.testBlock(st)
	case name.is(tableWord) && c.opt.Vocabulary.Directive(spec.InTop, tableWord) != nil:
		c.tableBlock(st)
	case name.plain && laterWords[name.text] && st.block != nil:
		c.errorf(name.place, "unknown-directive", "`%s` blocks are not part of this release", name.text)
	case st.block == nil:
		c.topWithoutBlock(st)
	case !c.misspelt(st):
		c.siteBlock(st)
	}
}

// misspelt reports a block whose first word is one of ours, nearly.
func (c *checker) misspelt(st stmt) bool {
	name := st.name()
	if len(st.words) != 2 || strings.ContainsAny(name.text, ".:,/") {
		return false
	}
	d := c.errorf(name.place, "unknown-directive", "unknown word %q at the top level", name.text)
	if !suggest(d, name.text, topWords) {
		d.Help = append(d.Help, "here stand sites, `pool NAME`, snippets, `import` and `test`; the addresses of a site are separated by commas")
	}
	return true
}

// topWithoutBlock reports a line that opens no block at the top level.
func (c *checker) topWithoutBlock(st stmt) {
	name := st.name()
	if w := c.anyDirective(name.text); w != nil && name.plain {
		d := c.errorf(name.place, "misplaced-directive", "`%s` stands outside of any block", name.text)
		d.Help = append(d.Help, belongs(w))
		return
	}
	if near := nearest(name.text, topWords); near != "" {
		d := c.errorf(name.place, "unknown-directive", "unknown word %q at the top level", name.text)
		d.Help = append(d.Help, "did you mean "+strconv.Quote(near)+"?")
		return
	}
	d := c.errorf(st.place, "missing-block", "this site has no block")
	d.Help = append(d.Help, "a site is written ADDRESS { … }, the `{` on the same line")
}

// processBlock checks the block of global options.
func (c *checker) processBlock(st stmt, first bool) {
	if c.optionSeen {
		c.errorf(st.place, "misplaced-block", "there is a second block of global options")
		return
	}
	c.optionSeen = true
	if !first {
		d := c.errorf(st.place, "misplaced-block", "the block of global options must be the first")
		d.Help = append(d.Help, "the `{` of a site or a pool stands on the same line as its name")
		return
	}
	c.config.Process = c.body(c.expand(st.block.Statements, st.from), scope{where: spec.InProcess})
}

// testBlock checks `test "NAME" { … }`; what it takes is the vocabulary's affair.
func (c *checker) testBlock(st stmt) {
	w := c.opt.Vocabulary.Directive(spec.InTop, testWord)
	if w == nil {
		c.errorf(st.place, "unknown-directive", "`test` blocks are not part of this release")
		return
	}
	c.config.Tests = append(c.config.Tests, c.node(st, w, scope{where: spec.InTop}))
}

func quoted(text string) string { return strconv.Quote(text) }

// isIdent reports whether a text may name a pool, a matcher or a snippet.
func isIdent(text string) bool {
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case 'a' <= c|0x20 && c|0x20 <= 'z', '0' <= c && c <= '9', c == '_', c == '-', c == '.':
		default:
			return false
		}
	}
	return text != "" && len(text) <= 128
}
