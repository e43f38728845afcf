package lsp

import (
	"slices"
	"strings"
)

// key is the identity of a name.
type key struct {
	kind  kind
	name  string
	scope *scope // of matchers
}

// occurrence is one place of a name.
type occurrence struct {
	file *fileIndex
	token
}

// finish reads the arguments of imports and gathers the names.
func (x *indexer) finish() {
	for _, im := range x.imports {
		l := &line{where: im.at.where, scope: im.at.scope, tokens: im.file.tokens}
		for i := range im.words {
			w := &im.words[i]
			k := x.args[im.name]["{args."+itoa(i)+"}"]
			switch {
			case isMatcher(w):
				l.name(w, matcher, false)
			case k != noKind && !strings.ContainsAny(w.Text, ":/{"):
				l.name(w, k, false)
			default:
				l.add(token{role: value, text: w.Text}, w.Range)
			}
		}
		im.file.tokens = l.tokens
	}
	x.p.gather()
}

// gather sorts tokens and lists the places of each name.
func (p *project) gather() {
	p.names = map[key][]occurrence{}
	p.anyScope = map[string]*scope{}
	for _, f := range p.order {
		slices.SortStableFunc(f.tokens, func(a, b token) int { return a.start - b.start })
		for i := range f.tokens {
			if t := &f.tokens[i]; t.kind == matcher && t.define && p.anyScope[t.text] == nil {
				p.anyScope[t.text] = t.scope
			}
		}
	}
	for _, f := range p.order {
		for i := range f.tokens {
			if t := &f.tokens[i]; t.role == name {
				k := p.key(t)
				p.names[k] = append(p.names[k], occurrence{f, *t})
			}
		}
	}
}

// key gives the identity of a name. A matcher that is defined nowhere around
// its use, as in a snippet, is taken for the first one of its name.
func (p *project) key(t *token) key {
	k := key{kind: t.kind, name: t.text}
	if t.kind != matcher {
		return k
	}
	for s := t.scope; s != nil; s = s.up {
		if s.defs[t.text] {
			k.scope = s
			return k
		}
	}
	k.scope = p.anyScope[t.text]
	return k
}
