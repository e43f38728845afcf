package lsp

import (
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/dsl/syntax"
)

// importArgs are the arguments of an import, whose meaning is known when the
// snippet's body has been read.
type importArgs struct {
	file  *fileIndex
	name  string
	words []syntax.Word
	at    place
}

// imported reads the words behind `import`.
func (x *indexer) imported(f *fileIndex, l *line, words []syntax.Word, at place) {
	if len(words) == 0 {
		return
	}
	what := &words[0]
	if strings.ContainsAny(what.Text, `/\.*?[`) {
		l.add(token{role: file, text: what.Text}, what.Range)
		seen := [2]string{f.name, what.Text}
		if x.sought[seen] {
			return // the files were read then
		}
		x.sought[seen] = true
		for _, n := range x.s.filesOf(f.name, what.Text) {
			x.file(n, at)
		}
		return
	}
	l.name(what, snippet, false)
	where := at.where
	if at.top {
		where = 0
	}
	_, sure := x.contexts[at.snippet]
	if known, ok := x.contexts[what.Text]; (sure || at.snippet == "") && (!ok || known|where != known) {
		x.contexts[what.Text] = known | where
		x.changed = true
	}
	if len(words) > 1 {
		x.imports = append(x.imports, importArgs{f, what.Text, words[1:], at})
	}
}

// noteArgs notes which arguments of a snippet name something.
func (x *indexer) noteArgs(tokens []token, at place) {
	if at.snippet == "" {
		return
	}
	for i := range tokens {
		t := &tokens[i]
		if t.role != value || t.arg == nil || !strings.HasPrefix(t.text, "{args.") {
			continue
		}
		var k kind
		switch t.arg.Kind {
		case spec.PoolRef:
			k = pool
		case spec.TableRef:
			k = table
		default:
			continue
		}
		if x.args[at.snippet] == nil {
			x.args[at.snippet] = map[string]kind{}
		}
		x.args[at.snippet][t.text] = k
	}
}
