package lint

import (
	"cmp"
	"slices"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/syntax"
)

// pragmaMark begins a comment that suppresses a rule:
//
//	# lint:ignore RULE reason
//
// It stands on a line above a directive or behind it, and holds for the
// directive with its block.
const pragmaMark = "lint:ignore"

// pragma is one such comment.
type pragma struct {
	rule, reason string
	comment      diag.Range
	scope        diag.Range // the directive; zero: none follows
	used         bool
}

// pragmas drops the findings that pragmas suppress and adds what is wrong with
// the pragmas themselves.
func (p *Pass) pragmas() diag.List {
	byFile := map[string][]*pragma{}
	var all []*pragma
	for _, file := range p.Sources.Files() {
		if text, _ := p.Sources.Text(file); strings.Contains(text, pragmaMark) {
			if f := p.tree(file); f != nil {
				byFile[file] = pragmasOf(f)
				all = append(all, byFile[file]...)
			}
		}
	}
	if len(all) == 0 {
		return p.list
	}
	list := slices.DeleteFunc(p.list, func(d diag.Diagnostic) bool {
		if r := Find(d.Rule); r == nil || r.Owner != "" && d.Severity == diag.Error {
			return false // the language does not bend
		}
		hidden := false
		for _, g := range byFile[d.Range.File] {
			if g.rule == d.Rule && g.reason != "" && within(d.Range, g.scope) {
				g.used, hidden = true, true
			}
		}
		return hidden
	})
	p.list = list
	for _, g := range all {
		p.judge(g)
	}
	return p.list
}

// judge reports what is wrong with a pragma.
func (p *Pass) judge(g *pragma) {
	r := Find(g.rule)
	switch {
	case r == nil:
		p.rule = pragmaUnknown
		d := p.report(g.comment, "there is no rule %q", g.rule)
		names := make([]string, len(all))
		for i := range all {
			names[i] = all[i].Name
		}
		if near := diag.Nearest(g.rule, names); near != "" {
			help(d, "did you mean %q?", near)
		}
	case g.reason == "":
		p.rule = pragmaWithoutReason
		d := p.report(g.comment, "the pragma does not say why %s is to be ignored", g.rule)
		help(d, "write # %s %s and the reason behind it", pragmaMark, g.rule)
	case !g.used && p.ran(r):
		p.rule = pragmaUnused
		_ = p.report(g.comment, "the pragma suppresses nothing: %s has no finding here", g.rule)
	}
}

// ran reports whether a rule had its chance to be suppressed.
func (p *Pass) ran(r *Rule) bool {
	return p.Config != nil && (!r.Here || p.Env != nil) && (!r.Style || p.Style)
}

// within reports whether a finding begins inside a directive.
func within(r, scope diag.Range) bool {
	return r.File == scope.File && r.Start.Line != 0 && scope.Start.Offset <= r.Start.Offset && r.Start.Offset < max(scope.End.Offset, scope.Start.Offset+1)
}

// pragmasOf finds the pragmas of a file, in order.
func pragmasOf(f *syntax.File) []*pragma {
	var out []*pragma
	add := func(scope diag.Range, comments ...syntax.Comment) {
		for _, c := range comments {
			words := strings.Fields(strings.TrimLeft(c.Text, "#"))
			if len(words) == 0 || words[0] != pragmaMark {
				continue
			}
			g := &pragma{comment: c.Range, scope: scope}
			if len(words) > 1 {
				g.rule, g.reason = words[1], strings.Join(words[2:], " ")
			}
			out = append(out, g)
		}
	}
	var block func([]*syntax.Statement, []syntax.Comment)
	block = func(statements []*syntax.Statement, tail []syntax.Comment) {
		for _, s := range statements {
			scope := extent(s)
			add(scope, s.Leading...)
			if s.Trailing != nil {
				add(scope, *s.Trailing)
			}
			if s.Block != nil {
				if s.Block.Comment != nil {
					add(scope, *s.Block.Comment)
				}
				block(s.Block.Statements, s.Block.Tail)
			}
		}
		add(diag.Range{}, tail...)
	}
	block(f.Statements, f.Tail)
	slices.SortStableFunc(out, func(a, b *pragma) int { return cmp.Compare(a.comment.Start.Offset, b.comment.Start.Offset) })
	return out
}

// extent is a statement with its block.
func extent(s *syntax.Statement) diag.Range {
	r := s.Range
	if s.Block != nil && s.Block.Close.End.Offset > r.End.Offset {
		r.End = s.Block.Close.End
	}
	return r
}
