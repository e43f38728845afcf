// Package format prints the Lbfile language in its one form: a tab for each
// depth, one space between words, comments behind neighbouring lines below
// each other, at most one blank line, one newline at the end. The order of
// lines, the words as they are quoted, line joins and comments stay as they
// are. What stands between the comments `# lbfmt: off` and `# lbfmt: on` of
// one block is not touched.
package format

import (
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/syntax"
)

// The comments that switch formatting off, up to the end of the block, and on.
const (
	off = "# lbfmt: off"
	on  = "# lbfmt: on"
)

// Source formats a file. If it has syntax errors, they are returned and no
// text is.
func Source(file string, src []byte) ([]byte, diag.List) {
	f, errs := syntax.Parse(file, src)
	if errs.HasErrors() {
		return nil, errs
	}
	return File(f), nil
}

// File prints a file that was parsed without errors.
func File(f *syntax.File) []byte {
	p := &printer{src: f.Src, buf: make([]byte, 0, len(f.Src))}
	p.body(f.Statements, f.Tail, len(f.Src))
	return p.text()
}

// printer collects lines; text then aligns their comments.
type printer struct {
	src   string
	buf   []byte
	lines []line
	depth int
}

// item is what stands in a block: a comment on a line of its own, or a
// statement.
type item struct {
	comment   *syntax.Comment
	statement *syntax.Statement
}

// body prints what stands in a block, or in the file, up to an offset.
func (p *printer) body(statements []*syntax.Statement, tail []syntax.Comment, end int) {
	items := flatten(statements, tail)
	first := true // nothing stands above: a blank line there is dropped
	for i := 0; i < len(items); i++ {
		it := items[i]
		if it.statement != nil {
			p.blank(it.statement.Blank && !first)
			p.statement(it.statement)
			first = false
			continue
		}
		p.blank(it.comment.Blank && !first)
		p.start()
		p.buf = append(p.buf, it.comment.Text...)
		p.finish(nil)
		if first = false; it.comment.Text == off {
			stop := lineStart(p.src, end)
			if end == len(p.src) {
				stop = end
			}
			for i++; i < len(items); i++ {
				if c := items[i].comment; c != nil && c.Text == on {
					stop = lineStart(p.src, c.Range.Start.Offset)
					break
				}
			}
			i-- // the comment that switches on is printed like any other
			p.copy(lineEnd(p.src, it.comment.Range.End.Offset), stop)
			first = true // the blank lines above it were copied
		}
	}
}

func flatten(statements []*syntax.Statement, tail []syntax.Comment) []item {
	items := make([]item, 0, len(statements)+len(tail))
	for _, s := range statements {
		for i := range s.Leading {
			items = append(items, item{comment: &s.Leading[i]})
		}
		items = append(items, item{statement: s})
	}
	for i := range tail {
		items = append(items, item{comment: &tail[i]})
	}
	return items
}

// statement prints a line, and the block it opens.
func (p *printer) statement(s *syntax.Statement) {
	p.start()
	for i := range s.Words {
		w := &s.Words[i]
		if i > 0 && w.Range.Start.Line != s.Words[i-1].Range.End.Line {
			p.buf = append(p.buf, ` \`...)
			p.finish(nil)
			p.start()
			p.last().depth++
		} else if i > 0 {
			p.buf = append(p.buf, ' ')
		}
		p.word(w)
	}
	if s.Block == nil {
		p.finish(s.Trailing)
		return
	}
	if len(s.Words) > 0 {
		p.buf = append(p.buf, ' ')
	}
	p.buf = append(p.buf, '{')
	p.finish(s.Block.Comment)
	p.depth++
	p.body(s.Block.Statements, s.Block.Tail, s.Block.Close.Start.Offset)
	p.depth--
	p.start()
	p.buf = append(p.buf, '}')
	p.finish(s.Trailing)
}

// word prints a word as it was written. One of several lines keeps them byte
// for byte, but for the ends of the lines.
func (p *printer) word(w *syntax.Word) {
	if w.Range.Start.Line == w.Range.End.Line {
		p.buf = append(p.buf, w.Raw...)
		return
	}
	p.buf = append(p.buf, strings.ReplaceAll(w.Raw, "\r\n", "\n")...)
	p.last().loose = true
}

// copy takes whole lines of the source as they are.
func (p *printer) copy(from, stop int) {
	if stop <= from {
		return
	}
	text := strings.ReplaceAll(p.src[from:stop], "\r\n", "\n")
	if stop == len(p.src) {
		text = strings.TrimRight(text, "\n")
	}
	if text = strings.TrimSuffix(text, "\n"); text == "" && stop == len(p.src) {
		return
	}
	p.start()
	p.buf = append(p.buf, text...)
	p.finish(nil)
	p.last().depth, p.last().loose = 0, true
}

// lineStart gives the start of the line that an offset is on, lineEnd the
// start of the next one.
func lineStart(src string, at int) int { return strings.LastIndexByte(src[:at], '\n') + 1 }

func lineEnd(src string, at int) int {
	if i := strings.IndexByte(src[at:], '\n'); i >= 0 {
		return at + i + 1
	}
	return len(src)
}
