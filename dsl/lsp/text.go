package lsp

import (
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/loadstar-lb/loadstar/dsl/diag"
)

// text is a document and the starts of its lines.
type text struct {
	src    string
	starts []int
}

// newText finds the lines of a document: the protocol ends them by \n, \r\n
// and \r.
func newText(src string) *text {
	t := &text{src: src, starts: []int{0}}
	for i := 0; i < len(src); i++ {
		if src[i] == '\n' || src[i] == '\r' && (i+1 == len(src) || src[i+1] != '\n') {
			t.starts = append(t.starts, i+1)
		}
	}
	return t
}

// position gives a byte offset as a line and a count of UTF-16 units.
func (t *text) position(offset int) position {
	offset = max(0, min(offset, len(t.src)))
	line := sort.SearchInts(t.starts, offset+1) - 1
	units := 0
	for _, r := range t.src[t.starts[line]:offset] {
		units += units16(r)
	}
	return position{Line: line, Character: units}
}

// offset gives the byte that a position names; one behind the end of its line
// names that end, as the protocol wants it.
func (t *text) offset(p position) int {
	if p.Line < 0 {
		return 0
	}
	if p.Line >= len(t.starts) {
		return len(t.src)
	}
	start, end := t.starts[p.Line], len(t.src)
	if p.Line+1 < len(t.starts) {
		end = t.starts[p.Line+1]
		end = start + len(strings.TrimRight(t.src[start:end], "\r\n"))
	}
	for units := p.Character; start < end && units > 0; {
		r, size := utf8.DecodeRuneInString(t.src[start:end])
		if units -= units16(r); units < 0 {
			break
		}
		start += size
	}
	return start
}

func units16(r rune) int {
	if r >= 1<<16 {
		return 2
	}
	return 1
}

// span gives a stretch of bytes as the protocol does.
func (t *text) span(start, end int) rangeOf {
	return rangeOf{Start: t.position(start), End: t.position(max(start, end))}
}

func (t *text) rangeOf(r diag.Range) rangeOf { return t.span(r.Start.Offset, r.End.Offset) }
