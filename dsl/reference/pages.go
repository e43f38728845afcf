package reference

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/spec"
)

// Rule is a rule of the linter, for its page.
type Rule struct {
	Name, Severity string
	Doc            string // one line
	Long           string // Markdown
}

// generated stands at the top of every page.
const generated = "<!-- Generated from the vocabulary by `make docs`. Do not edit. -->\n\n"

// group is a page of directives that stand at the same place.
type group struct {
	file, title, intro string
	in                 spec.Where // directives of just these places
}

var groups = []group{
	{"global-options.md", "Global options", "They stand in the first block of the file, which has no name:\n\n```lbfile\n{\n\tgrace 30s\n}\n```\n", spec.InProcess},
	{"sites.md", "Directives of every site", "They may stand in sites of HTTP and in sites of TCP streams.\n", spec.InSite},
	{"http-sites.md", "Directives of HTTP sites", "They work on requests and answers, so they stand in sites whose address begins with `http://` or `https://`, or has no scheme. Directives run from top to bottom; the first one that answers ends the exchange.\n", spec.InHTTPSite},
	{"tcp-sites.md", "Directives of tcp sites", "They stand in sites whose address begins with `tcp://` or `tls://`.\n", spec.InTCPSite},
	{"pools.md", "Directives of pools", "They stand in a `pool` block, or in the block of a `proxy` that names addresses instead of a pool.\n", spec.InPool},
	{"top-level.md", "Blocks of the top level", "Beside [sites, pools, snippets and tests](language.md) these blocks may stand at the top level.\n", spec.InTop},
}

// ownPage is how many variants give a directive a page of its own.
const ownPage = 4

// pages gathers the reference.
type pages struct {
	v     *spec.Vocabulary
	files map[string]string
	index []entry
}

// entry is a line of the alphabetical index.
type entry struct{ word, link, doc string }

// Pages gives every page of the reference by the name of its file.
func Pages(v *spec.Vocabulary, rules []Rule) map[string]string {
	p := &pages{v: v, files: map[string]string{}}
	p.files["language.md"] = generated + languagePage
	p.values()
	p.placeholders()
	p.matchers()
	contents := []string{"[The language](language.md): files, sites, pools, snippets, tests"}
	for _, name := range p.large() {
		contents = append(contents, p.single(name))
	}
	small := []string{}
	for _, g := range groups {
		if line := p.group(g); line != "" {
			small = append(small, line)
		}
	}
	contents = slices.Concat(contents[:1], small, contents[1:], []string{
		"[Matchers](matchers.md): conditions on requests and connections",
		"[Placeholders](placeholders.md): what templates can be filled with",
		"[Values](values.md): durations, sizes, addresses and the other kinds of values",
	})
	if len(rules) > 0 {
		p.rules(rules)
		contents = append(contents, "[Lint rules](lint.md): what `lbfmt lint` finds")
	}
	p.readme(contents)
	return p.files
}

// large lists the directives with a page of their own.
func (p *pages) large() []string {
	var out []string
	for i := range p.v.Directives {
		w := &p.v.Directives[i]
		if len(w.Variants) >= ownPage && !slices.Contains(out, w.Name) {
			out = append(out, w.Name)
		}
	}
	sort.Strings(out)
	return out
}

// single writes the page of one directive, at all its places.
func (p *pages) single(name string) string {
	var b strings.Builder
	b.WriteString(generated + "# " + name + "\n")
	doc, heads := "", 0
	for i := range p.v.Directives {
		if p.v.Directives[i].Name == name {
			heads++
		}
	}
	for i := range p.v.Directives {
		w := &p.v.Directives[i]
		if w.Name != name {
			continue
		}
		head := name
		if heads > 1 {
			head += " in " + inText(w.In)
		}
		p.directive(&b, w, head, name+".md")
		if doc == "" {
			doc = w.Doc
		}
	}
	p.files[name+".md"] = b.String()
	return fmt.Sprintf("[%s](%s.md): %s", name, name, uncapital(doc))
}

// group writes the page of a group; "" if it has no directives.
func (p *pages) group(g group) string {
	var words []*spec.Word
	var elsewhere []string
	for i := range p.v.Directives {
		w := &p.v.Directives[i]
		switch {
		case w.In != g.in && !(g.in == spec.InSite && w.In&spec.InSite == spec.InSite):
		case len(w.Variants) >= ownPage:
			elsewhere = append(elsewhere, fmt.Sprintf("[%s](%s.md)", w.Name, w.Name))
		default:
			words = append(words, w)
		}
	}
	if len(words)+len(elsewhere) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString(generated + "# " + g.title + "\n\n" + g.intro)
	if len(elsewhere) > 0 {
		b.WriteString("\nOn pages of their own: " + strings.Join(elsewhere, ", ") + ".\n")
	}
	names := make([]string, 0, len(words))
	for _, w := range words {
		p.directive(&b, w, w.Name, g.file)
		names = append(names, w.Name)
	}
	p.files[g.file] = b.String()
	line := fmt.Sprintf("[%s](%s)", g.title, g.file)
	if len(names) > 0 {
		line += ": " + strings.Join(names, ", ")
	}
	return line
}

func (p *pages) readme(contents []string) {
	var b strings.Builder
	b.WriteString(generated + readmeIntro)
	for _, c := range contents {
		b.WriteString("- " + c + "\n")
	}
	b.WriteString("\n## Every word\n\n| word | meaning |\n| --- | --- |\n")
	sort.SliceStable(p.index, func(i, j int) bool { return p.index[i].word < p.index[j].word })
	for _, e := range p.index {
		fmt.Fprintf(&b, "| [%s](%s) | %s |\n", e.word, e.link, cell(e.doc))
	}
	p.files["README.md"] = b.String()
}

func (p *pages) values() {
	var b strings.Builder
	b.WriteString(generated + "# Values\n\nWhat the words of a line may be. A number that counts something with a unit is never written without it.\n\n")
	b.WriteString("| kind | what it is | for example |\n| --- | --- | --- |\n")
	for _, k := range kindOrder {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", kinds[k].name, cell(kinds[k].text), kinds[k].examples)
	}
	p.files["values.md"] = b.String()
}

func (p *pages) placeholders() {
	var b strings.Builder
	b.WriteString(generated + "# Placeholders\n\nWherever the reference says *template*, these stand for a value of the exchange. " +
		"A name that ends in `*` takes any name in its place, as in `{http.header.User-Agent}`.\n\n" +
		"```lbfile\nhttp://:8080 {\n\trespond \"hello {client.ip}\\n\"\n}\n```\n\n" +
		"| placeholder | meaning | works in tcp sites |\n| --- | --- | --- |\n")
	for i := range p.v.Placeholders {
		ph := &p.v.Placeholders[i]
		tcp := "yes"
		if ph.HTTP {
			tcp = "no"
		}
		if ph.Log {
			tcp += "; in formats of `log` only"
		}
		fmt.Fprintf(&b, "| `{%s}` | %s | %s |\n", ph.Name, cell(ph.Doc), tcp)
	}
	p.files["placeholders.md"] = b.String()
}

func (p *pages) matchers() {
	var b strings.Builder
	b.WriteString(generated + matchersIntro)
	for i := range p.v.Matchers {
		w := &p.v.Matchers[i]
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", w.Name, sentence(w.Doc))
		if w.Long != "" {
			b.WriteString("\n" + w.Long + "\n")
		}
		fmt.Fprintf(&b, "\n```\n@NAME %s\n```\n\nWorks in: %s.\n", Usage(w), inText(w.In))
		argTable(&b, w.Args)
		example(&b, w.In, w.Example+"\ndeny "+firstWord(w.Example))
		p.index = append(p.index, entry{w.Name + " (matcher)", "matchers.md#" + slug(w.Name), w.Doc})
	}
	p.files["matchers.md"] = b.String()
}

func (p *pages) rules(rules []Rule) {
	var b strings.Builder
	b.WriteString(generated + "# Lint rules\n\n`lbfmt lint FILE` judges a configuration by these rules; `loadstar check` and every reload do so, too. " +
		"An error refuses the configuration. A finding is silenced by a comment above the line or behind it, which must give a reason: `# lint:ignore RULE reason`.\n\n" +
		"| rule | severity | finds |\n| --- | --- | --- |\n")
	for _, r := range rules {
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s |\n", r.Name, slug(r.Name), r.Severity, cell(r.Doc))
	}
	for _, r := range rules {
		fmt.Fprintf(&b, "\n## %s\n\n%s (%s)\n", r.Name, sentence(r.Doc), r.Severity)
		if r.Long != "" {
			b.WriteString("\n" + strings.TrimSpace(r.Long) + "\n")
		}
	}
	p.files["lint.md"] = b.String()
}

// inText lists the places of a directive.
func inText(in spec.Where) string {
	var out []string
	if in&spec.InProcess != 0 {
		out = append(out, "the global options")
	}
	switch {
	case in&spec.InSite == spec.InSite:
		out = append(out, "sites")
	case in&spec.InHTTPSite != 0:
		out = append(out, "HTTP sites")
	case in&spec.InTCPSite != 0:
		out = append(out, "tcp sites")
	}
	if in&spec.InPool != 0 {
		out = append(out, "pools")
	}
	if in&spec.InTop != 0 {
		out = append(out, "the top level")
	}
	return strings.Join(out, ", ")
}

// slug is the anchor that a heading gets on the usual sites for Markdown.
func slug(head string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(head) {
		switch {
		case r == ' ':
			b.WriteByte('-')
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9', r == '-', r == '_':
			b.WriteRune(r)
		}
	}
	return b.String()
}

// cell makes a text fit for a cell of a table.
func cell(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "|", `\|`), "\n", " ")
}

func uncapital(text string) string {
	if len(text) > 1 && 'A' <= text[0] && text[0] <= 'Z' && 'a' <= text[1] && text[1] <= 'z' {
		return strings.ToLower(text[:1]) + text[1:]
	}
	return text
}

func firstWord(text string) string {
	f := strings.Fields(text)
	if len(f) == 0 {
		return ""
	}
	return f[0]
}
