package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/dsl"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/format"
	"github.com/loadstar-lb/loadstar/modules"
)

const docs = "../../docs"

// TestDocsAreFresh compares what is committed with what the vocabulary gives.
func TestDocsAreFresh(t *testing.T) {
	files, err := generated()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(docs, name))
		if err != nil || string(got) != want {
			t.Errorf("docs/%s is stale: `make docs` writes it anew (%v)", name, err)
		}
	}
	pages, err := filepath.Glob(filepath.Join(docs, "reference", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages {
		if _, ok := files[filepath.Join("reference", filepath.Base(p))]; !ok {
			t.Errorf("%s is made by nothing: `make docs` removes it", p)
		}
	}
}

// markdownFiles gives every page, generated or written.
func markdownFiles(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	files, err := generated()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if filepath.Ext(name) == ".md" {
			out[name] = text
		}
	}
	written, err := filepath.Glob(filepath.Join(docs, "*.md"))
	if err != nil || len(written) == 0 {
		t.Fatal("no pages", err)
	}
	for _, name := range written {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(name)] = string(text)
	}
	return out
}

var fenced = regexp.MustCompile("(?s)```lbfile\n(.*?)```")

// TestDocsExamples checks every configuration that a page shows: it has no
// errors, but for names and files of the reader's own, and is formatted.
func TestDocsExamples(t *testing.T) {
	v := modules.Standard().Vocabulary()
	env := func(string) (string, bool) { return "value", true }
	seen := 0
	for name, text := range markdownFiles(t) {
		for _, m := range fenced.FindAllStringSubmatch(text, -1) {
			seen++
			_, sources, found := dsl.Load("Lbfile", []byte(m[1]), dsl.Options{Vocabulary: v, Env: env})
			var bad diag.List
			for _, d := range found {
				if d.Severity == diag.Error && d.Rule != "undefined-name" {
					bad = append(bad, d)
				}
			}
			if len(bad) > 0 {
				var b strings.Builder
				if err := diag.Render(&b, bad, sources, diag.Style{}); err != nil {
					t.Fatal(err)
				}
				t.Errorf("%s:\n%s\n%s", name, m[1], b.String())
			}
			if out, errs := format.Source("Lbfile", []byte(m[1])); len(errs) > 0 || string(out) != m[1] {
				t.Errorf("%s: lbfmt would change\n%sto\n%s", name, m[1], out)
			}
		}
	}
	if seen < 50 {
		t.Errorf("only %d examples", seen)
	}
}

var (
	links    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	headings = regexp.MustCompile(`(?m)^#+ (.*)$`)
	notSlug  = regexp.MustCompile(`[^a-z0-9 _-]`)
)

// TestDocsLinks follows the links between pages, anchors included.
func TestDocsLinks(t *testing.T) {
	pages := markdownFiles(t)
	anchors := map[string]map[string]bool{}
	for name, text := range pages {
		anchors[name] = map[string]bool{"": true}
		for _, h := range headings.FindAllStringSubmatch(text, -1) {
			slug := strings.ReplaceAll(notSlug.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-")
			if anchors[name][slug] && strings.HasPrefix(name, "reference") {
				t.Errorf("%s has two headings #%s", name, slug)
			}
			anchors[name][slug] = true
		}
	}
	for name, text := range pages {
		for _, l := range links.FindAllStringSubmatch(text, -1) {
			if strings.Contains(l[1], "://") {
				continue
			}
			file, anchor, _ := strings.Cut(l[1], "#")
			target := name
			if file != "" {
				target = filepath.Join(filepath.Dir(name), file)
			}
			if known, ok := anchors[target]; ok && known[anchor] {
				continue
			}
			if _, err := os.Stat(filepath.Join(docs, target)); err != nil || anchor != "" {
				t.Errorf("%s: the link %s leads nowhere", name, l[1])
			}
		}
	}
}

// TestDocsAreWhole looks for every word and placeholder in the index pages.
func TestDocsAreWhole(t *testing.T) {
	pages := markdownFiles(t)
	v := modules.Standard().Vocabulary()
	all := ""
	for _, text := range pages {
		all += text
	}
	for _, w := range append(v.Directives, v.Matchers...) {
		if !strings.Contains(pages["reference/README.md"], "["+w.Name) {
			t.Errorf("%s is not in the index", w.Name)
		}
		for _, o := range w.Options {
			if !strings.Contains(all, "| `"+o.Name) {
				t.Errorf("the option %s of %s has no row", o.Name, w.Name)
			}
		}
	}
	for _, p := range v.Placeholders {
		if !strings.Contains(pages["reference/placeholders.md"], "`{"+p.Name+"}`") {
			t.Errorf("{%s} has no row", p.Name)
		}
	}
}

// TestTextMate reads the grammar back, and compiles its patterns as far as
// RE2 can: it knows no look-behind and no back-references.
func TestTextMate(t *testing.T) {
	text, err := grammars["textmate"](modules.Standard().Vocabulary())
	if err != nil {
		t.Fatal(err)
	}
	var g struct {
		ScopeName string
		Patterns  []struct{ Match, Begin, End string }
	}
	if err := json.Unmarshal([]byte(text), &g); err != nil || g.ScopeName != "source.lbfile" {
		t.Fatal(err, g.ScopeName)
	}
	look := regexp.MustCompile(`\(\?<?=`)
	for _, p := range g.Patterns {
		for _, e := range []string{p.Match, p.Begin, p.End} {
			e = strings.ReplaceAll(look.ReplaceAllString(e, "(?:"), `\1`, "X")
			if _, err := regexp.Compile(e); err != nil {
				t.Error(err)
			}
		}
	}
}
