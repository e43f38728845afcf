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
	units  []int // in front of every stretch of the text: lines may be long
}

// stretch is how many bytes are counted at a time, at most.
const stretch = 1024

// newText finds the lines of a document: the protocol ends them by \n, \r\n
// and \r.
func newText(src string) *text {
	t := &text{src: src, starts: []int{0}}
	for i := 0; i < len(src); i++ {
		if src[i] == '\n' || src[i] == '\r' && (i+1 == len(src) || src[i+1] != '\n') {
			t.starts = append(t.starts, i+1)
		}
	}
	n := 0
	for i := 0; i < len(src); i += stretch {
		t.units = append(t.units, n)
		n += countUnits(src[i:min(i+stretch, len(src))])
	}
	return t
}

// countUnits counts UTF-16 units: one for each character, two for those that
// UTF-8 writes in four bytes. It is additive, wherever a text is cut.
func countUnits(text string) int {
	n := 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c < utf8.RuneSelf:
			n++
		case c >= 0xf0:
			n += 2
		case c >= 0xc0:
			n++
		}
	}
	return n
}

// unitsBefore counts the units in front of an offset.
func (t *text) unitsBefore(offset int) int {
	i := offset / stretch
	if i >= len(t.units) {
		if i = len(t.units) - 1; i < 0 {
			return 0
		}
	}
	return t.units[i] + countUnits(t.src[i*stretch:offset])
}

// position gives a byte offset as a line and a count of UTF-16 units.
func (t *text) position(offset int) position {
	offset = max(0, min(offset, len(t.src)))
	line := sort.SearchInts(t.starts, offset+1) - 1
	return position{Line: line, Character: t.unitsBefore(offset) - t.unitsBefore(t.starts[line])}
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
