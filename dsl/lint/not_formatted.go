package lint

import (
	"strings"
	"unicode/utf8"

	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/format"
)

var notFormatted = &Rule{Name: "not-formatted", Severity: diag.Info, Style: true, check: func(p *Pass) {
	for _, file := range p.Sources.Files() {
		text, _ := p.Sources.Text(file)
		got, errs := format.Source(file, []byte(text))
		if errs.HasErrors() || string(got) == text {
			continue
		}
		at := difference(text, string(got))
		line := 1 + strings.Count(text[:at], "\n")
		start := strings.LastIndexByte(text[:at], '\n') + 1
		pos := diag.Pos{Offset: at, Line: line, Column: 1 + utf8.RuneCountInString(text[start:at])}
		d := p.report(diag.Range{File: file, Start: pos, End: pos}, "the file is not in the one form that lbfmt gives it")
		help(d, "lbfmt -w %s", file)
		end := diag.Pos{Offset: len(text), Line: 1 + strings.Count(text, "\n"), Column: 1}
		fix(d, "format the file", diag.Range{File: file, Start: diag.Pos{Line: 1, Column: 1}, End: end}, string(got))
	}
}}

// difference gives where two texts begin to differ.
func difference(a, b string) int {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	for i > 0 && i < len(a) && !utf8.RuneStart(a[i]) {
		i--
	}
	return i
}
