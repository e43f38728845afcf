package lint

import (
	"cmp"
	"slices"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/syntax"
)

// Apply mends one text with the fixes of findings in that file. Of fixes that
// overlap the first counts, and a fix is done whole or not at all; n is how many
// were done. Linting the result may offer further ones.
func Apply(file, text string, list diag.List) (mended string, n int) {
	var edits []diag.Edit
	for _, d := range list {
		for _, f := range d.Fixes {
			if fits(file, text, edits, f.Edits) {
				edits = append(edits, f.Edits...)
				n++
				break // a finding is mended once
			}
		}
	}
	slices.SortFunc(edits, func(a, b diag.Edit) int { return cmp.Compare(a.Range.Start.Offset, b.Range.Start.Offset) })
	var b strings.Builder
	at := 0
	for _, e := range edits {
		b.WriteString(text[at:e.Range.Start.Offset])
		b.WriteString(e.Text)
		at = e.Range.End.Offset
	}
	b.WriteString(text[at:])
	return b.String(), n
}

// fits reports whether all edits of a fix lie in the text and apart from those
// chosen before.
func fits(file, text string, chosen, edits []diag.Edit) bool {
	for _, e := range edits {
		from, to := e.Range.Start.Offset, e.Range.End.Offset
		if e.Range.File != file || from < 0 || from > to || to > len(text) {
			return false
		}
		for _, c := range chosen {
			if from < c.Range.End.Offset && c.Range.Start.Offset < to || from == c.Range.Start.Offset {
				return false
			}
		}
	}
	return len(edits) > 0
}

// fix adds a fix of one edit.
func fix(d *diag.Diagnostic, title string, at diag.Range, text string) {
	d.Fixes = append(d.Fixes, diag.Fix{Title: title, Edits: []diag.Edit{{Range: at, Text: text}}})
}

// mendUnused adds the certain fix to the checker's finding of an unused name:
// the definition goes. One that stands in a snippet may be used where that is
// imported again, so it stays.
func (p *Pass) mendUnused() {
	for i := range p.list {
		d := &p.list[i]
		if d.Rule != "unused-name" || len(d.Fixes) > 0 || len(d.Labels) > 0 {
			continue
		}
		f := p.tree(d.Range.File)
		if f == nil || f.Broken {
			continue
		}
		if s := definition(f.Statements, d.Range.Start.Offset); s != nil {
			fix(d, "remove the definition", wholeLines(f.Src, extent(s)), "")
		}
	}
}

// definition finds the statement that begins at an offset, outside of snippets.
// A snippet itself is found.
func definition(statements []*syntax.Statement, at int) *syntax.Statement {
	for _, s := range statements {
		r := extent(s)
		if at < r.Start.Offset || at >= r.End.Offset {
			continue
		}
		for i, w := range s.Words {
			if w.Range.Start.Offset == at && i < 2 {
				return s
			}
		}
		if s.Block == nil || len(s.Words) == 1 && strings.HasPrefix(s.Words[0].Text, "(") {
			return nil
		}
		return definition(s.Block.Statements, at)
	}
	return nil
}

// wholeLines widens a range to the lines it stands on, with the end of the last.
func wholeLines(src string, r diag.Range) diag.Range {
	start := strings.LastIndexByte(src[:r.Start.Offset], '\n') + 1
	r.Start = diag.Pos{Offset: start, Line: r.Start.Line, Column: 1}
	if i := strings.IndexByte(src[r.End.Offset:], '\n'); i >= 0 {
		r.End = diag.Pos{Offset: r.End.Offset + i + 1, Line: r.End.Line + 1, Column: 1}
	} else {
		r.End.Offset = len(src)
	}
	return r
}
