package lsp

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/reference"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/dsl/syntax"
)

// maxItems bounds one list of proposals.
const maxItems = 1000

// completion gathers proposals for one place.
type completion struct {
	s      *server
	d      *document
	p      *project
	at     place
	block  []*syntax.Statement // the statements around
	words  []syntax.Word       // of the line, in front of the place
	prefix string              // of the word at the place
	edit   rangeOf             // what a proposal replaces
	items  []completionItem
	seen   map[string]bool
}

func (s *server) complete(d *document, p *placeParams) (any, error) {
	offset := d.offset(p.Position)
	c := &completion{s: s, d: d, items: []completionItem{}, seen: map[string]bool{}}
	project, f := s.of(d.file)
	if f == nil || !c.locate(f, offset) {
		return c.items, nil
	}
	c.p = project
	c.propose()
	return c.items, nil
}

// propose looks at the words in front of the place.
func (c *completion) propose() {
	v := c.s.opt.Vocabulary
	switch {
	case c.placeholder():
	case len(c.words) == 0:
		c.statements()
	case c.words[0].Is("import"):
		if len(c.words) == 1 {
			c.names(snippet, nil)
			c.files()
		}
	case c.at.test:
		c.test()
	case isMatcher(&c.words[0]):
		l := &line{where: c.at.where, scope: c.at.scope}
		c.conditions(l.expr(v, c.words[1:]))
	case c.at.top:
		if w := v.Directive(spec.InTop, c.words[0].Text); w != nil {
			c.line(w)
		}
	default:
		if w := c.owner(); w != nil {
			c.line(w)
		}
	}
}

func (c *completion) add(label string, kind int, detail, doc string) {
	if len(c.items) >= maxItems || c.seen[label] {
		return
	}
	c.seen[label] = true
	c.items = append(c.items, completionItem{
		Label: label, Kind: kind, Detail: detail, Documentation: markdown(doc),
		TextEdit: textEdit{c.edit, label},
	})
}

func (c *completion) word(w *spec.Word, kind int) {
	c.add(w.Name, kind, w.Doc, reference.Describe(w))
}

// statements proposes what may begin a line.
func (c *completion) statements() {
	if c.at.test {
		for _, w := range testWords {
			c.add(w, kindKeyword, "", "")
		}
		return
	}
	v := c.s.opt.Vocabulary
	if c.at.top {
		c.add("pool", kindKeyword, "a named group of servers", "")
		c.add("test", kindKeyword, "a check of the routing", "")
		for i := range v.Directives {
			if v.Directives[i].In&spec.InTop != 0 {
				c.word(&v.Directives[i], kindKeyword)
			}
		}
		for _, scheme := range []string{"http://", "https://", "tcp://", "tls://"} {
			c.add(scheme, kindKeyword, "a site", "")
		}
	} else {
		given := map[string]bool{}
		for _, st := range c.block {
			if len(st.Words) > 0 && (len(c.prefix) == 0 || st.Words[0].Raw != c.prefix) {
				given[st.Words[0].Text] = true
			}
		}
		if o := c.at.owner; o != nil {
			for _, w := range o.options() {
				if w.Repeat || !given[w.Name] && !slices.Contains(o.given, w.Name) {
					c.word(w, kindProperty)
				}
			}
		}
		for i := range v.Directives {
			w := &v.Directives[i]
			if w.In&c.at.where != 0 && (w.Repeat || w.Matcher || !given[w.Name]) {
				c.word(w, kindFunction)
			}
		}
	}
	c.add("import", kindKeyword, "a snippet or files", "")
}

// line proposes what may follow on a directive's line.
func (c *completion) line(w *spec.Word) {
	l := &line{where: c.at.where, scope: c.at.scope, top: newFrame(w, nil, c.at.where)}
	l.read(c.words[1:])
	f := l.top
	if f.matcher {
		c.names(matcher, c.at.scope)
	}
	if f.kind {
		for i := range f.word.Variants {
			c.word(&f.word.Variants[i], kindValue)
		}
		if v := f.word.VariantNamed(f.word.Variant); v != nil {
			f.choose(v)
		} else {
			return
		}
	}
	open := false // an argument must come first
	for k := f.next; k < len(f.args) && !open; k++ {
		c.argument(&f.args[k])
		open = !f.args[k].Optional
	}
	for ; f != nil && !open; f = f.up {
		for _, o := range f.options() {
			if o.Repeat || !slices.Contains(f.given, o.Name) {
				c.word(o, kindProperty)
			}
		}
	}
}

// argument proposes values.
func (c *completion) argument(a *spec.Arg) {
	switch a.Kind {
	case spec.Enum, spec.Template: // a format of logs has names, too
		for _, w := range a.Words {
			c.add(w, kindEnum, a.Doc, "")
		}
	case spec.PoolRef:
		c.names(pool, nil)
	case spec.TableRef:
		c.names(table, nil)
	case spec.File:
		c.files()
	}
}

// names proposes what the project defines.
func (c *completion) names(k kind, in *scope) {
	kinds := map[kind]int{pool: kindModule, table: kindModule, snippet: kindSnippet, matcher: kindVariable}
	const documented = 200 // of more names, nobody reads the definitions
	var labels []string
	docs := map[string]string{}
	for id, places := range c.p.names {
		if id.kind != k || k == matcher && !visible(id.scope, in) {
			continue
		}
		for i := range places {
			if places[i].define {
				label := id.name
				if k == matcher {
					label = "@" + label
				}
				labels = append(labels, label)
				if len(docs) < documented {
					docs[label] = fence(definition(&places[i]))
				}
				break
			}
		}
	}
	slices.Sort(labels)
	for _, l := range labels {
		c.add(l, kinds[k], kindNames[k], docs[l])
	}
}

func visible(s, from *scope) bool {
	for ; from != nil; from = from.up {
		if from == s {
			return true
		}
	}
	return false
}

// conditions proposes the words of an expression.
func (c *completion) conditions(st exprState) {
	v := c.s.opt.Vocabulary
	if st.cond != nil {
		if st.next < len(st.cond.Args) {
			c.argument(&st.cond.Args[st.next])
		}
		c.add("and", kindKeyword, "both conditions", "")
		c.add("or", kindKeyword, "either condition", "")
	}
	for i := range v.Matchers {
		if m := &v.Matchers[i]; m.In&c.at.where != 0 && st.cond == nil {
			c.word(m, kindKeyword)
		}
	}
	if st.cond == nil {
		c.add("not", kindKeyword, "the opposite of a condition", "")
		c.names(matcher, c.at.scope)
	}
}

var testWords = []string{"request", "from", "sni", "header", "expect", "with"}

func (c *completion) test() {
	switch {
	case c.words[0].Is("expect") && len(c.words) == 1:
		for _, w := range []string{"pool", "server", "status", "redirect", "site", "header"} {
			c.add(w, kindEnum, "", "")
		}
	case c.words[0].Is("expect") && len(c.words) == 2 && c.words[1].Is("pool"):
		c.names(pool, nil)
	case c.words[0].Is("request") && len(c.words) == 1:
		for _, w := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"} {
			c.add(w, kindEnum, "", "")
		}
	}
}

// placeholder proposes what fills a brace that is open at the place.
func (c *completion) placeholder() bool {
	open := strings.LastIndexByte(c.prefix, '{')
	if open < 0 || strings.IndexByte(c.prefix[open:], '}') >= 0 || strings.HasPrefix(c.prefix[open:], "{$") {
		return false
	}
	end := c.d.offset(c.edit.Start) + len(c.prefix)
	c.edit = c.d.span(end-len(c.prefix)+open, end)
	log := c.inLog()
	for _, p := range c.s.opt.Vocabulary.Placeholders {
		if (!p.HTTP || c.at.where != spec.InTCPSite) && (!p.Log || log) {
			c.add("{"+p.Name+"}", kindConstant, p.Doc, "")
		}
	}
	if c.at.snippet != "" {
		c.add("{args.0}", kindConstant, "the first argument of the import", "")
		c.add("{args.*}", kindConstant, "all arguments of the import", "")
	}
	return true
}

// inLog reports whether the value at the place is one that writes down what is
// over, and so may name what is known only then.
func (c *completion) inLog() bool {
	w := c.owner()
	if w == nil {
		return false
	}
	l := &line{where: c.at.where, scope: c.at.scope, top: newFrame(w, nil, c.at.where)}
	l.read(c.words[1:])
	f := l.top
	return f.next < len(f.args) && f.args[f.next].Log
}

// owner gives the directive or the option that the line begins with.
func (c *completion) owner() *spec.Word {
	if len(c.words) == 0 {
		return nil
	}
	w := c.s.opt.Vocabulary.Directive(c.at.where, c.words[0].Text)
	if w == nil && c.at.owner != nil {
		w = c.at.owner.option(c.words[0].Text)
	}
	return w
}

// files proposes names of files, as paths from the document's directory.
func (c *completion) files() {
	prefix := strings.Trim(c.prefix, `"`)
	if strings.ContainsAny(prefix, "*?[{") || !filepath.IsAbs(c.d.file) {
		return
	}
	dir := filepath.Dir(c.d.file)
	pattern := filepath.Join(dir, prefix) + "*"
	if prefix == "" || strings.HasSuffix(prefix, "/") {
		pattern = filepath.Join(dir, prefix, "*")
	}
	names, err := overlay{c.s, c.s.opt.Files}.Glob(pattern)
	if err != nil {
		return
	}
	for _, n := range names {
		if rel, err := filepath.Rel(dir, n); err == nil && n != c.d.file && len(c.items) < 100 {
			c.add(filepath.ToSlash(rel), kindFile, "", "")
		}
	}
}
