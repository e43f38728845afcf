package lint

import (
	"cmp"
	"embed"
	"fmt"
	"slices"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/spec"
)

// Rule is one rule. Its name never changes: users write it into their files.
type Rule struct {
	Name     string
	Severity diag.Severity
	// Owner is the package that reports it, "" for this one.
	Owner string
	// Here says that the rule speaks of this machine (its addresses, limits and
	// files): it is silent where the configuration is not going to run.
	Here bool
	// Style says that the rule speaks of the text only; `loadstar check` and
	// reloads do not run it.
	Style bool

	check func(*Pass)
}

//go:embed rules/*.md
var pages embed.FS

// Page gives the rule's page: Markdown, beginning with its name as a heading.
func (r *Rule) Page() string {
	text, err := pages.ReadFile("rules/" + r.Name + ".md")
	if err != nil {
		return "" // a test makes sure that every rule has one
	}
	return string(text)
}

// Summary gives the first sentence of the page.
func (r *Rule) Summary() string {
	_, text, _ := strings.Cut(r.Page(), "\n\n")
	text, _, _ = strings.Cut(text, "\n\n")
	return strings.ReplaceAll(strings.TrimSpace(text), "\n", " ")
}

// Rules gives all rules by name, those of other packages among them. The slice
// is not to be changed.
func Rules() []*Rule { return all }

// Find gives a rule by name, nil if there is none.
func Find(name string) *Rule {
	i, ok := slices.BinarySearchFunc(all, name, func(r *Rule, name string) int { return cmp.Compare(r.Name, name) })
	if !ok {
		return nil
	}
	return all[i]
}

var all = sorted(append(own(), owned()...))

func sorted(rules []*Rule) []*Rule {
	slices.SortFunc(rules, func(a, b *Rule) int { return cmp.Compare(a.Name, b.Name) })
	return rules
}

// Input is what is looked at.
type Input struct {
	Config     *config.Config   // nil: it has errors, and only the text is looked at
	Sources    *diag.Sources    // of all files; may lack some
	Vocabulary *spec.Vocabulary // what Config was checked against
	Env        Env              // nil: the configuration will run elsewhere
	Style      bool             // run the rules of style, too
	// Found is what was found before: by the parser, the checker, the graph.
	Found diag.List
}

// Run runs the rules and gives what was found before and what they find, less
// what pragmas of the text suppress, and what is wrong with those. The list is
// sorted; the main file's come first. An error of the language itself cannot be
// suppressed.
func Run(in Input) diag.List {
	p := newPass(in)
	p.list = slices.Clone(in.Found)
	if in.Env == nil {
		p.list = slices.DeleteFunc(p.list, func(d diag.Diagnostic) bool {
			r := Find(d.Rule)
			return r != nil && r.Here && d.Range.Start.Line != 0
		})
	}
	p.mendUnused()
	for _, r := range all {
		if r.check == nil || r.Here && in.Env == nil || r.Style && !in.Style || in.Config == nil && !r.Style {
			continue
		}
		p.rule, p.steps = r, 0
		r.check(p)
	}
	return p.order(p.pragmas())
}

// order sorts, puts the main file first, and drops what a snippet brought twice.
func (p *Pass) order(list diag.List) diag.List {
	list.Sort()
	main := p.mainFile()
	slices.SortStableFunc(list, func(a, b diag.Diagnostic) int {
		return cmp.Compare(rank(a.Range.File, main), rank(b.Range.File, main))
	})
	type key struct {
		at            diag.Range
		rule, message string
	}
	seen := make(map[key]bool, len(list))
	return slices.DeleteFunc(list, func(d diag.Diagnostic) bool {
		k := key{d.Range, d.Rule, d.Message}
		double := seen[k]
		seen[k] = true
		return double
	})
}

func rank(file, main string) int {
	if file == main {
		return 0
	}
	return 1
}

// report adds a finding of the rule that runs.
func (p *Pass) report(at diag.Range, format string, args ...any) *diag.Diagnostic {
	d := p.list.Add(at, p.rule.Name, format, args...)
	d.Severity = p.rule.Severity
	return d
}

// help adds a line that says what to write instead.
func help(d *diag.Diagnostic, format string, args ...any) {
	d.Help = append(d.Help, fmt.Sprintf(format, args...))
}

// label points at another place.
func label(d *diag.Diagnostic, at diag.Range, message string) {
	d.Labels = append(d.Labels, diag.Label{Range: at, Message: message})
}
