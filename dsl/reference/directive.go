package reference

import (
	"fmt"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/format"
	"github.com/loadstar-lb/loadstar/dsl/spec"
)

// directive writes the section of one directive.
func (p *pages) directive(b *strings.Builder, w *spec.Word, head, file string) {
	link := file + "#" + slug(head)
	label := w.Name
	if p.places(w.Name) > 1 {
		label += " (" + inText(w.In) + ")"
	}
	p.index = append(p.index, entry{label, link, w.Doc})
	if head+".md" != file { // otherwise it is the title of the page
		fmt.Fprintf(b, "\n## %s\n", head)
	}
	fmt.Fprintf(b, "\n%s\n", sentence(w.Doc))
	if w.Long != "" {
		b.WriteString("\n" + w.Long + "\n")
	}
	fmt.Fprintf(b, "\n```\n%s\n```\n\n- Stands in: %s.\n", Usage(w), inText(w.In))
	if w.Repeat || w.Matcher {
		b.WriteString("- May stand more than once.\n")
	}
	if w.Matcher {
		b.WriteString("- Takes a [matcher](matchers.md) as its first argument: `@NAME`, or a path that begins with `/`.\n")
	}
	if w.Body != 0 {
		fmt.Fprintf(b, "- Its block may hold the directives of %s.\n", inText(w.Body))
	}
	if w.Default != "" {
		fmt.Fprintf(b, "- Without it: `%s %s`.\n", w.Name, w.Default)
	}
	if w.Variant != "" {
		fmt.Fprintf(b, "- Without a kind: `%s %s`.\n", w.Name, w.Variant)
	}
	for i := range p.v.Directives {
		if o := &p.v.Directives[i]; o != w && o.Name == w.Name {
			fmt.Fprintf(b, "- There is another `%s`, in [%s](%s).\n", w.Name, inText(o.In), p.link(o))
		}
	}
	argTable(b, w.Args)
	p.optionTable(b, w.Options)
	example(b, w.In, w.Example)
	for i := range w.Variants {
		p.variant(b, w, &w.Variants[i], strings.TrimPrefix(head, w.Name))
	}
}

// variant writes what one kind of a directive adds; place tells it from that
// of the same name elsewhere.
func (p *pages) variant(b *strings.Builder, w, v *spec.Word, place string) {
	fmt.Fprintf(b, "\n### %s %s%s\n\n", w.Name, v.Name, place)
	if v.Doc != "" {
		b.WriteString(sentence(v.Doc) + "\n")
	}
	if v.Long != "" {
		b.WriteString("\n" + v.Long + "\n")
	}
	usage := w.Name
	if w.Matcher {
		usage += " [MATCHER]"
	}
	usage += " " + v.Name
	for i := range w.Args {
		usage += " " + argUsage(&w.Args[i])
	}
	for i := range v.Args {
		usage += " " + argUsage(&v.Args[i])
	}
	fmt.Fprintf(b, "\n```\n%s\n```\n", usage)
	argTable(b, v.Args)
	p.optionTable(b, v.Options)
	line := v.Example
	if line != "" && firstWord(line) != w.Name {
		line = w.Name + " " + line
	}
	if line != w.Example {
		example(b, w.In, line)
	}
}

// places counts the directives of one name.
func (p *pages) places(name string) int {
	n := 0
	for i := range p.v.Directives {
		if p.v.Directives[i].Name == name {
			n++
		}
	}
	return n
}

// link gives the place of a directive in the reference.
func (p *pages) link(w *spec.Word) string {
	if len(w.Variants) >= ownPage {
		head := w.Name
		if p.places(w.Name) > 1 {
			head += " in " + inText(w.In)
		}
		return w.Name + ".md#" + slug(head)
	}
	for _, g := range groups {
		if w.In == g.in || g.in == spec.InSite && w.In&spec.InSite == spec.InSite {
			return g.file + "#" + slug(w.Name)
		}
	}
	return "README.md"
}

func argTable(b *strings.Builder, args []spec.Arg) {
	if len(args) == 0 {
		return
	}
	b.WriteString("\n| argument | value | default | meaning |\n| --- | --- | --- | --- |\n")
	for i := range args {
		a := &args[i]
		def := "required"
		switch {
		case a.Default != "":
			def = "`" + a.Default + "`"
		case a.Optional:
			def = "none"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", cell(argUsage(a)), cell(valueText(a)), def, cell(a.Doc))
	}
}

// optionTable lists options, and those of options below them.
func (p *pages) optionTable(b *strings.Builder, options []spec.Word) {
	if len(options) == 0 {
		return
	}
	b.WriteString("\n| option | value | default | meaning |\n| --- | --- | --- | --- |\n")
	for i := range options {
		p.optionRow(b, "", &options[i])
	}
}

// optionRow writes an option. One that is a directive, too, is only linked.
func (p *pages) optionRow(b *strings.Builder, above string, o *spec.Word) {
	def := ""
	switch {
	case o.Required:
		def = "required"
	case o.Default != "":
		def = "`" + o.Default + "`"
	}
	meaning := o.Doc
	if o.Repeat {
		meaning = strings.TrimSuffix(meaning, ".") + " (may be repeated)"
	}
	if o.Long != "" {
		meaning = sentence(meaning) + " " + o.Long
	}
	nested := len(o.Variants) > 0 || len(o.Options) > 0
	same := p.v.Directive(spec.InPool, o.Name)
	if nested && same != nil {
		meaning = sentence(meaning) + " Takes what [" + o.Name + "](" + p.link(same) + ") takes."
	}
	values := make([]string, 0, len(o.Args))
	for i := range o.Args {
		values = append(values, valueText(&o.Args[i]))
	}
	fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", cell(above+Usage(o)), cell(strings.Join(values, "; ")), def, cell(strings.TrimSpace(meaning)))
	if nested && same == nil {
		for i := range o.Options {
			p.optionRow(b, above+o.Name+" ", &o.Options[i])
		}
		for i := range o.Variants {
			p.optionRow(b, above+o.Name+" ", &o.Variants[i])
		}
	}
}

// example shows a line where it may stand.
func example(b *strings.Builder, in spec.Where, line string) {
	if strings.TrimSpace(line) == "" {
		return
	}
	text := Surround(in, line)
	if out, errs := format.Source("", []byte(text)); !errs.HasErrors() {
		text = string(out)
	}
	b.WriteString("\n```lbfile\n" + text + "```\n")
}

// Surround puts lines that may stand at a place into a whole configuration, as
// small as can be.
func Surround(in spec.Where, line string) string {
	body := "\t" + strings.ReplaceAll(strings.TrimRight(line, "\n"), "\n", "\n\t") + "\n"
	for _, name := range undefined(line) {
		body = "\t" + name + " client 192.0.2.0/24\n" + body
	}
	first := firstWord(line)
	switch {
	case in&spec.InProcess != 0:
		return "{\n" + body + "}\nhttp://:8080 {\n\trespond \"hello\\n\"\n}\n"
	case in&spec.InTop != 0:
		return line + "\n"
	case in&spec.InHTTPSite != 0:
		return "http://:8080 {\n" + body + "\tproxy 127.0.0.1:9001\n}\n"
	case in&spec.InTCPSite != 0:
		return "tcp://:8443 {\n" + body + "\tproxy 127.0.0.1:9001\n}\n"
	case first == "server":
		return "pool web {\n" + body + "}\nhttp://:8080 {\n\tproxy web\n}\n"
	default:
		return "pool web {\n" + body + "\tserver one 127.0.0.1:9001 cookie one\n}\nhttp://:8080 {\n\tproxy web\n}\n"
	}
}

// undefined gives the matchers that lines name and do not define.
func undefined(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		for i, w := range strings.Fields(line) {
			if i > 0 && strings.HasPrefix(w, "@") && !strings.Contains(text, "\n") && !strings.HasPrefix(strings.TrimSpace(text), w) {
				out = append(out, w)
			}
		}
	}
	return out
}
