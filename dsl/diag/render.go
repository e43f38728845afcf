package diag

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
)

// Style says how Render writes.
type Style struct{ Color bool }

// StyleFor gives the style for a file: colour on a terminal, unless NO_COLOR
// is set to anything (no-color.org) or TERM is "dumb".
func StyleFor(f *os.File) Style {
	if os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return Style{}
	}
	info, err := f.Stat()
	return Style{Color: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

// Render writes diagnostics for people: one line that editors understand, the
// source with the place marked, places that explain it, and help. Sources may
// be nil; what they lack is then not shown.
func Render(w io.Writer, list List, sources *Sources, style Style) error {
	var b bytes.Buffer
	p := printer{out: &b, sources: sources, color: style.Color}
	for _, d := range list {
		p.diagnostic(d)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// The colours (ECMA-48 SGR).
const (
	bold   = "1"
	red    = "1;31"
	yellow = "1;33"
	cyan   = "1;36"
	blue   = "34"
)

type printer struct {
	out     *bytes.Buffer
	sources *Sources
	color   bool
	gutter  int // width of line numbers
}

func (p *printer) diagnostic(d Diagnostic) {
	hue := [...]string{Error: red, Warning: yellow, Info: cyan}[min(d.Severity, Info)]
	if place := d.Range.String(); place != "" {
		p.out.WriteString(visible(place) + ": ")
	}
	p.out.WriteString(p.paint(hue, d.Severity.String()+":") + " " + p.paint(bold, visible(d.Message)))
	if d.Rule != "" {
		p.out.WriteString("  [" + d.Rule + "]")
	}
	p.out.WriteByte('\n')
	last := d.Range.Start.Line
	for _, l := range d.Labels {
		last = max(last, l.Range.Start.Line)
	}
	p.gutter = len(fmt.Sprint(last))
	p.source(d.Range, '^', "", hue)
	for _, l := range d.Labels {
		p.label(d.Range, l)
	}
	for _, h := range d.Help {
		fmt.Fprintf(p.out, "%*s %s %s\n", p.gutter, "", p.paint(blue, "="), visible(h))
	}
}

func (p *printer) label(of Range, l Label) {
	_, _, ok := p.sources.line(l.Range)
	if !ok || l.Range.File != of.File {
		fmt.Fprintf(p.out, "%*s %s %s: %s\n", p.gutter, "", p.paint(blue, "="), visible(l.Range.String()), visible(l.Message))
	}
	if ok {
		p.source(l.Range, '-', l.Message, blue)
	}
}

// source shows one line of source and marks the range in it.
func (p *printer) source(r Range, mark byte, message, hue string) {
	line, at, ok := p.sources.line(r)
	if !ok {
		return
	}
	end := len(line)
	if r.End.Line == r.Start.Line {
		end = min(at+max(0, r.End.Offset-r.Start.Offset), len(line))
	}
	at = min(at, len(line))
	before, marked, behind := crop(line[:at], line[at:max(at, end)], line[max(at, end):])
	before = expand(before, 0)
	indent := Width(before)
	marked = expand(marked, indent)
	width := max(1, Width(marked))
	bar := p.paint(blue, "|")
	fmt.Fprintf(p.out, "%*s %s\n", p.gutter, "", bar)
	text := before + marked + expand(behind, indent+Width(marked))
	fmt.Fprintf(p.out, "%s %s %s\n", p.paint(blue, fmt.Sprintf("%*d", p.gutter, r.Start.Line)), bar, strings.TrimRight(text, " "))
	marks := strings.Repeat(string(mark), width)
	if message != "" {
		marks += " " + visible(message)
	}
	fmt.Fprintf(p.out, "%*s %s %s%s\n", p.gutter, "", bar, strings.Repeat(" ", indent), p.paint(hue, marks))
}

func (p *printer) paint(hue, text string) string {
	if !p.color {
		return text
	}
	return "\x1b[" + hue + "m" + text + "\x1b[0m"
}

// The most bytes shown before, in and behind the marked place of a line.
const (
	showBefore = 120
	showMarked = 100
	showBehind = 120
)

// crop shortens a line that would fill the screen, keeping the marked place.
func crop(before, marked, behind string) (string, string, string) {
	if len(before) > showBefore {
		before = "…" + strings.ToValidUTF8(before[len(before)-showBefore:], "")
	}
	if len(marked) > showMarked {
		return before, strings.ToValidUTF8(marked[:showMarked], "") + "…", ""
	}
	if len(behind) > showBehind {
		behind = strings.ToValidUTF8(behind[:showBehind], "") + "…"
	}
	return before, marked, behind
}

const tabWidth = 4

// expand turns tabs into blanks, counting from a column, so that the marks
// stand below what they mark whatever the terminal's tab stops are.
func expand(text string, column int) string {
	var b strings.Builder
	for _, r := range text {
		if r == '\t' {
			n := tabWidth - column%tabWidth
			b.WriteString("    "[:n])
			column += n
			continue
		}
		r = visibleRune(r)
		b.WriteRune(r)
		column += runeWidth(r)
	}
	return b.String()
}

// visible makes a text safe for a terminal: input must not move its cursor.
func visible(text string) string { return strings.Map(visibleRune, text) }

func visibleRune(r rune) rune {
	switch {
	case r < ' ' || 0x7f <= r && r < 0xA0, '\u202a' <= r && r <= '\u202e', '\u2066' <= r && r <= '\u2069', r == '\u2028', r == '\u2029':
		return '\uFFFD'
	}
	return r
}
