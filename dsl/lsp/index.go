package lsp

import (
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/dsl/syntax"
)

// place is where the statements of a block stand, and so what they may be.
type place struct {
	top, test bool
	where     spec.Where
	owner     *frame // whose options may stand here, nil: none
	scope     *scope
	snippet   string // whose body this is
}

// scope is one block of a site as far as matchers are concerned.
type scope struct {
	up   *scope
	defs map[string]bool
}

// fileIndex is what is known of one file of a project.
type fileIndex struct {
	name   string
	tree   *syntax.File
	tokens []token // in the order of the file
	blocks map[*syntax.Block]place
	whole  place // of its own statements
	text   *text // see lines
}

// lines gives the text that the places of the file are in.
func (f *fileIndex) lines() *text {
	if f.text == nil {
		f.text = newText(f.tree.Src)
	}
	return f.text
}

// indexer reads a whole project: a root and all that it imports.
type indexer struct {
	s        *server
	p        *project
	contexts map[string]spec.Where // where a snippet is imported
	args     map[string]map[string]kind
	imports  []importArgs
	sought   map[[2]string]bool // imports of files that were followed
	changed  bool               // contexts grew: another round sees more
}

// everywhere is where a snippet might stand that nothing imports.
const everywhere = spec.InProcess | spec.InSite | spec.InPool

// maxRounds bounds how often a project is read to find out where snippets
// that import snippets stand.
const maxRounds = 4

func (s *server) index(root string) *project {
	x := &indexer{s: s, contexts: map[string]spec.Where{}}
	for range maxRounds {
		x.p = &project{root: root, files: map[string]*fileIndex{}}
		x.args, x.imports, x.changed = map[string]map[string]kind{}, nil, false
		x.sought = map[[2]string]bool{}
		x.file(root, place{top: true})
		if !x.changed {
			break
		}
	}
	x.finish()
	return x.p
}

// file reads a file once.
func (x *indexer) file(name string, at place) {
	if x.p.files[name] != nil || len(x.p.files) >= maxFiles {
		return
	}
	tree := x.s.tree(name)
	if tree == nil {
		return
	}
	f := &fileIndex{name: name, tree: tree, blocks: map[*syntax.Block]place{}, whole: at}
	x.p.files[name] = f
	x.p.order = append(x.p.order, f)
	x.statements(f, tree.Statements, at)
}

func (x *indexer) statements(f *fileIndex, list []*syntax.Statement, at place) {
	for _, st := range list {
		inner := at
		if len(st.Words) > 0 {
			inner = x.statement(f, st, at)
		} else if at.top {
			inner = place{where: spec.InProcess}
		}
		if st.Block != nil {
			f.blocks[st.Block] = inner
			x.statements(f, st.Block.Statements, inner)
		}
	}
}

// statement reads one line, and says where its block stands.
func (x *indexer) statement(f *fileIndex, st *syntax.Statement, at place) place {
	l := &line{where: at.where, scope: at.scope, tokens: f.tokens}
	defer func() { f.tokens = l.tokens }()
	first := &st.Words[0]
	text := first.Text
	if first.Quote != syntax.Plain {
		text = ""
	}
	rest := st.Words[1:]
	switch {
	case text == "import":
		l.add(token{role: fixed, text: text}, first.Range)
		x.imported(f, l, rest, at)
		return at
	case at.test:
		return x.test(l, st, at)
	case strings.HasPrefix(text, "(") && strings.HasSuffix(text, ")") && len(text) > 2 && st.Block != nil:
		l.name(first, snippet, true)
		inner := place{scope: &scope{}, snippet: text[1 : len(text)-1]}
		where, known := x.contexts[inner.snippet]
		if inner.where = where; !known {
			inner.where = everywhere
		}
		inner.top = known && where == 0
		return inner
	case isMatcher(first):
		l.name(first, matcher, true)
		if at.scope != nil {
			if at.scope.defs == nil {
				at.scope.defs = map[string]bool{}
			}
			at.scope.defs[text[1:]] = true
		}
		l.expr(x.s.opt.Vocabulary, rest)
		return at
	}
	if at.top || st.Block != nil && x.s.opt.Vocabulary.Directive(at.where, text) == nil {
		// `pool` and `test` blocks in a block stand there since a brace is
		// missing above them.
		if inner, ok := x.topLevel(l, st, at); ok {
			return inner
		}
	}
	w := x.s.opt.Vocabulary.Directive(at.where, text)
	r := directive
	if w == nil && at.owner != nil {
		w, r = at.owner.option(text), option
	}
	if w == nil {
		l.add(token{role: unknown, text: first.Text}, first.Range)
		return at
	}
	l.add(token{role: r, text: text, word: w}, first.Range)
	before := len(l.tokens)
	l.top = newFrame(w, nil, at.where)
	top := l.top
	l.read(rest)
	x.noteArgs(l.tokens[before:], at)
	return blockOf(top, at)
}

// blockOf says where the block of a directive stands.
func blockOf(f *frame, at place) place {
	inner := place{owner: f, scope: at.scope, snippet: at.snippet}
	if f.kind { // the variant that is meant when none is written
		if v := f.word.VariantNamed(f.word.Variant); v != nil {
			f.choose(v)
		}
	}
	if body := f.word.Body; body != 0 {
		inner.where = body
		if body&at.where != 0 {
			inner.where = at.where
		}
		if inner.where&spec.InSite != 0 {
			inner.scope = &scope{up: at.scope}
		}
	}
	return inner
}

// topLevel reads what begins a block of the top level.
func (x *indexer) topLevel(l *line, st *syntax.Statement, at place) (place, bool) {
	first, rest := &st.Words[0], st.Words[1:]
	top := x.s.opt.Vocabulary.Directive(spec.InTop, first.Text)
	switch {
	case first.Is("pool"):
		l.add(token{role: fixed, text: "pool"}, first.Range)
		if len(rest) > 0 {
			l.name(&rest[0], pool, true)
		}
		return place{where: spec.InPool}, true
	case first.Is("test"):
		l.add(token{role: fixed, text: "test"}, first.Range)
		return place{test: true}, true
	case top != nil && first.Quote == syntax.Plain:
		l.add(token{role: directive, text: first.Text, word: top}, first.Range)
		if first.Text == "table" && len(rest) > 0 {
			l.name(&rest[0], table, true)
		}
		f := newFrame(top, nil, spec.InTop)
		return place{owner: f}, true
	case at.top && st.Block != nil || strings.Contains(first.Text, "://"):
		in := spec.InHTTPSite
		if strings.HasPrefix(first.Text, "tcp:") || strings.HasPrefix(first.Text, "tls:") {
			in = spec.InTCPSite
		}
		for i := range st.Words {
			l.add(token{role: address, text: st.Words[i].Text}, st.Words[i].Range)
		}
		return place{where: in, scope: &scope{}}, true
	}
	return at, false
}

// test reads a line of a `test` block.
func (x *indexer) test(l *line, st *syntax.Statement, at place) place {
	l.add(token{role: fixed, text: st.Words[0].Text}, st.Words[0].Range)
	for i := 1; i < len(st.Words); i++ {
		w := &st.Words[i]
		if st.Words[0].Is("expect") && i == 2 && st.Words[1].Is("pool") {
			l.name(w, pool, false)
		} else {
			l.add(token{role: value, text: w.Text}, w.Range)
		}
	}
	return at
}
