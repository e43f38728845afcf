// Package man makes manual pages (man(7)) of what the programs know of themselves: of
// their commands, and of the language's vocabulary.
package man

import (
	"fmt"
	"regexp"
	"strings"
)

// page is a page in the making.
type page struct{ b strings.Builder }

// newPage begins the page of a name in a section of the manual.
func newPage(name, section, version string) *page {
	p := &page{}
	fmt.Fprintf(&p.b, ".\\\" Generated; do not edit.\n.TH %s %s \"\" %s \"Loadstar\"\n.nh\n.ad l\n",
		quote(strings.ToUpper(name)), section, quote("loadstar "+version))
	return p
}

func (p *page) String() string { return p.b.String() }

// section begins a section; those of the first level are in capitals.
func (p *page) section(title string) { fmt.Fprintf(&p.b, ".SH %s\n", quote(strings.ToUpper(title))) }

func (p *page) subsection(title string) { fmt.Fprintf(&p.b, ".SS %s\n", quote(title)) }

// item begins an entry of a list: a head in bold, and its text indented.
func (p *page) item(head, text string) {
	fmt.Fprintf(&p.b, ".TP\n\\fB%s\\fR\n", escape(head))
	p.inline(text)
}

// indent has what f writes moved to the right.
func (p *page) indent(f func()) {
	p.b.WriteString(".RS\n")
	f()
	p.b.WriteString(".RE\n")
}

// code writes lines as they are.
func (p *page) code(text string) {
	p.b.WriteString(".PP\n.RS 4\n.EX\n")
	for _, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		p.line(escape(strings.ReplaceAll(line, "\t", "    ")))
	}
	p.b.WriteString(".EE\n.RE\n")
}

// markdown writes paragraphs, with code blocks and bullets among them.
func (p *page) markdown(text string) {
	for _, part := range strings.Split(strings.TrimSpace(text), "\n\n") {
		switch {
		case strings.HasPrefix(part, "```"):
			part = strings.TrimSuffix(strings.TrimSpace(part), "```")
			if _, rest, ok := strings.Cut(part, "\n"); ok {
				p.code(rest)
			}
		case strings.HasPrefix(part, "- "):
			for _, bullet := range strings.Split("\n"+part, "\n- ")[1:] {
				p.b.WriteString(".IP \\(bu 3\n")
				p.inline(bullet)
			}
		case part != "":
			p.b.WriteString(".PP\n")
			p.inline(part)
		}
	}
}

var link = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)

// inline writes text in which `code` stands out, and links are their words.
func (p *page) inline(text string) {
	text = link.ReplaceAllString(strings.Join(strings.Fields(text), " "), "$1")
	var b strings.Builder
	for i, part := range strings.Split(text, "`") {
		if i%2 == 1 {
			b.WriteString(`\fB` + escape(part) + `\fR`)
		} else {
			b.WriteString(escape(part))
		}
	}
	p.line(b.String())
}

// line writes one line of text, none of which is taken for a request.
func (p *page) line(text string) {
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		p.b.WriteString(`\&`)
	}
	p.b.WriteString(text + "\n")
}

var escapes = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`)

// escape has text come out as it is. Beyond ASCII, groff wants names of characters.
func escape(text string) string {
	var b strings.Builder
	for _, r := range escapes.Replace(text) {
		if r < 0x80 {
			b.WriteByte(byte(r))
		} else {
			fmt.Fprintf(&b, `\[u%04X]`, r)
		}
	}
	return b.String()
}

// quote makes an argument of a request.
func quote(text string) string { return `"` + strings.ReplaceAll(escape(text), `"`, `\(dq`) + `"` }
