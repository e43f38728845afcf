package man

import (
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/reference"
	"github.com/loadstar-lb/loadstar/dsl/spec"
)

// intro is what the vocabulary does not say: the shape of a file.
const intro = "A configuration is a text of blocks. The first block may stand without a name: it has the options of the whole process. " +
	"Sites say where traffic comes in (`http://example.com`, `https://example.com`, `tcp://:443`, `tls://:443`, `unix//run/site.sock`), pools where it goes to (`pool web { … }`).\n\n" +
	"In a site, directives run from top to bottom, and the first one that answers ends the exchange. A directive's options stand on its line or in its block. " +
	"A word that begins with `@` names a matcher; a first argument that begins with `/` is a matcher on the path. `#` begins a comment. " +
	"Values with blanks stand in quotes; `{$NAME}` is a variable of the environment, `{$NAME:default}` one with a default; `{name}` a placeholder that is filled in for each exchange.\n\n" +
	"`import FILE` takes up another file, `(name) { … }` is a snippet that `import name` takes up, and `test \"…\" { … }` says what should become of a request; `loadstar test` runs it.\n\n" +
	"`loadstar check` tells what is wrong with a file, with the place and, where something is near, a suggestion."

const sample = `http://:8080 {
	log syslog udp://127.0.0.1:514 facility local0
	@images path /img/* and not client 10.0.0.0/8
	deny @images 403
	proxy /api/* api
	proxy web
}

pool web {
	balance roundrobin
	health http GET /health interval 2s rise 2 fall 3
	server one 10.0.0.1:80 weight 2
	server two 10.0.0.2:80
}

pool api {
	balance leastconn
	server a 10.0.1.1:8080
}`

// places are the sections of directives, in the order of the page.
var places = []struct {
	title string
	in    func(spec.Where) bool
}{
	{"Global options", func(w spec.Where) bool { return w == spec.InProcess }},
	{"Directives of every site", func(w spec.Where) bool { return w&spec.InSite == spec.InSite }},
	{"Directives of HTTP sites", func(w spec.Where) bool { return w&spec.InSite == spec.InHTTPSite }},
	{"Directives of tcp and tls sites", func(w spec.Where) bool { return w&spec.InSite == spec.InTCPSite }},
	{"Directives of pools", func(w spec.Where) bool { return w&spec.InSite == 0 && w&spec.InPool != 0 }},
	{"Other blocks", func(w spec.Where) bool { return w&(spec.InSite|spec.InPool) == 0 && w&spec.InTop != 0 }},
}

// Language makes lbfile(5) of the vocabulary.
func Language(v *spec.Vocabulary, version string) string {
	p := newPage("lbfile", "5", version)
	p.section("Name")
	p.line(`lbfile \- the configuration of Loadstar`)
	p.section("Description")
	p.markdown(intro)
	p.section("Example")
	p.code(sample)
	for _, place := range places {
		p.section(place.title)
		for i := range v.Directives {
			if w := &v.Directives[i]; place.in(w.In) {
				p.word(w)
			}
		}
	}
	p.section("Matchers")
	for i := range v.Matchers {
		p.word(&v.Matchers[i])
	}
	p.section("Placeholders")
	for _, ph := range v.Placeholders {
		p.item("{"+ph.Name+"}", sentence(ph.Doc))
	}
	p.section("See also")
	p.line(`\fBloadstar\fR(1), \fBlbfmt\fR(1)`)
	return p.String()
}

// word writes a directive or a matcher.
func (p *page) word(w *spec.Word) {
	p.subsection(reference.Usage(w))
	p.markdown(sentence(w.Doc))
	p.markdown(w.Long)
	if w.Default != "" {
		p.markdown("Without it: `" + w.Name + " " + w.Default + "`.")
	}
	p.details(w)
	for i := range w.Variants {
		v := &w.Variants[i]
		p.item(w.Name+" "+reference.Usage(v), sentence(v.Doc)+" "+v.Long)
		p.indent(func() { p.details(v) })
	}
	if w.Example != "" {
		p.code(w.Example)
	}
}

// details writes arguments and options.
func (p *page) details(w *spec.Word) {
	for i := range w.Args {
		name, text, _ := strings.Cut(strings.TrimPrefix(reference.DescribeArg(&w.Args[i]), "`"), "`")
		p.item(name, sentence(strings.TrimPrefix(text, ": ")))
	}
	for i := range w.Options {
		o := &w.Options[i]
		text := sentence(o.Doc)
		if o.Long != "" {
			text += " " + o.Long
		}
		switch {
		case o.Required:
			text += " It must be given."
		case o.Default != "":
			text += " Default: `" + o.Default + "`."
		}
		p.item(reference.Usage(o), text)
		if len(o.Options)+len(o.Variants) > 0 {
			p.indent(func() { p.nested(o) })
		}
	}
}

// nested writes what an option takes below it.
func (p *page) nested(o *spec.Word) {
	for i := range o.Options {
		p.item(reference.Usage(&o.Options[i]), sentence(o.Options[i].Doc))
	}
	for i := range o.Variants {
		p.item(reference.Usage(&o.Variants[i]), sentence(o.Variants[i].Doc))
	}
}

func sentence(doc string) string {
	if doc = strings.TrimSpace(doc); doc == "" || strings.HasSuffix(doc, ".") {
		return doc
	}
	return doc + "."
}
