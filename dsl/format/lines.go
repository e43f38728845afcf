package format

import (
	"bytes"

	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/syntax"
)

// line is one line of output, or several that belong together: a run of the
// printer's buffer, and the comment behind it.
type line struct {
	start, end int
	comment    string
	depth      int
	loose      bool // holds line ends of its own: comments are not aligned with it
}

func (p *printer) last() *line { return &p.lines[len(p.lines)-1] }

// start begins a line.
func (p *printer) start() {
	p.lines = append(p.lines, line{start: len(p.buf), depth: p.depth})
}

// finish ends a line.
func (p *printer) finish(c *syntax.Comment) {
	l := p.last()
	l.end = len(p.buf)
	if c != nil {
		l.comment = c.Text
	}
}

// blank adds an empty line.
func (p *printer) blank(wanted bool) {
	if wanted {
		p.start()
		p.finish(nil)
	}
}

// text joins the lines. Comments behind lines that follow each other, at one
// depth, stand in one column.
func (p *printer) text() []byte {
	out := make([]byte, 0, len(p.buf)+len(p.buf)/8+len(p.lines))
	for i := 0; i < len(p.lines); {
		n := p.neighbours(i)
		widest := 0
		for _, l := range p.lines[i : i+n] {
			if n > 1 {
				widest = max(widest, p.width(&l))
			}
		}
		for k := range p.lines[i : i+n] {
			l := &p.lines[i+k]
			if l.end > l.start {
				for range l.depth {
					out = append(out, '\t')
				}
				out = append(out, p.buf[l.start:l.end]...)
			}
			if l.comment != "" {
				pad := 1
				if n > 1 {
					pad += widest - p.width(l)
				}
				out = append(out, bytes.Repeat([]byte{' '}, pad)...)
				out = append(out, l.comment...)
			}
			out = append(out, '\n')
		}
		i += n
	}
	return out
}

func (p *printer) width(l *line) int { return diag.Width(string(p.buf[l.start:l.end])) }

// neighbours counts the lines from i on whose comments are aligned, at least 1.
func (p *printer) neighbours(i int) int {
	first := &p.lines[i]
	n := 1
	if first.comment == "" || first.loose {
		return n
	}
	for i+n < len(p.lines) {
		l := &p.lines[i+n]
		if l.comment == "" || l.loose || l.depth != first.depth {
			break
		}
		n++
	}
	return n
}
