package lint_test

import (
	"bytes"
	"flag"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/loadstar-lb/loadstar/dsl"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/lint"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/modules"
)

var update = flag.Bool("update", false, "write the goldens anew")

// vocabulary is the real one.
func vocabulary() *spec.Vocabulary { return modules.Standard().Vocabulary() }

// machine is a machine of fixed facts.
type machine struct{}

func (machine) FileLimit() uint64       { return 1024 }
func (machine) Addresses() []netip.Addr { return []netip.Addr{netip.MustParseAddr("10.0.0.254")} }
func (machine) LowPorts() bool          { return false }
func (machine) AnySource() bool         { return false }
func (machine) Stat(name string) (fs.FileInfo, error) {
	return os.Stat(name)
}

func environment(name string) (string, bool) { return "from the environment", name == "SECRET" }

func run(t *testing.T, src string, env lint.Env) (diag.List, *diag.Sources) {
	t.Helper()
	v := vocabulary()
	cfg, sources, found := dsl.Load("Lbfile", []byte(src), dsl.Options{Vocabulary: v, Env: environment})
	return lint.Run(lint.Input{Config: cfg, Sources: sources, Vocabulary: v, Env: env, Style: true, Found: found}), sources
}

func only(list diag.List, rule string) diag.List {
	var out diag.List
	for _, d := range list {
		if d.Rule == rule {
			out = append(out, d)
		}
	}
	return out
}

// TestRules runs each rule over its fixture: hit.lb must give what "want" says,
// and miss.lb nothing; if there is a file "fixed", --fix must give it, and
// nothing is left to mend then.
func TestRules(t *testing.T) {
	for _, r := range lint.Rules() {
		name := filepath.Join("testdata", r.Name+".txtar")
		a, err := txtar.ParseFile(name)
		if err != nil {
			if r.Owner == "" {
				t.Error("a rule without a fixture:", err)
			}
			continue
		}
		t.Run(r.Name, func(t *testing.T) { fixture(t, r, name, a) })
	}
}

func fixture(t *testing.T, r *lint.Rule, name string, a *txtar.Archive) {
	files := map[string]string{}
	for _, f := range a.Files {
		files[f.Name] = string(f.Data)
	}
	if files["hit.lb"] == "" || files["miss.lb"] == "" {
		t.Fatal("hit.lb or miss.lb is missing")
	}
	all, sources := run(t, files["hit.lb"], machine{})
	found := only(all, r.Name)
	if len(found) == 0 {
		t.Errorf("hit.lb is not hit; found %v", all)
	}
	for _, d := range found {
		if d.Severity != r.Severity {
			t.Errorf("severity %v, listed as %v", d.Severity, r.Severity)
		}
	}
	var text bytes.Buffer
	if err := diag.Render(&text, found, sources, diag.Style{}); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{"want": text.String()}
	if _, ok := files["fixed"]; ok {
		mended, n := lint.Apply("Lbfile", files["hit.lb"], found)
		again, _ := run(t, mended, machine{})
		if n == 0 || len(only(again, r.Name)) > 0 {
			t.Errorf("%d fixes; after them %v", n, again)
		}
		got["fixed"] = mended
	}
	missed, _ := run(t, files["miss.lb"], machine{})
	if missed.HasErrors() && r.Severity != diag.Error || len(only(missed, r.Name)) > 0 {
		t.Errorf("miss.lb is hit: %v", missed)
	}
	changed := false
	for i := range a.Files {
		if want, ok := got[a.Files[i].Name]; ok && want != string(a.Files[i].Data) {
			if !*update {
				t.Errorf("%s: got\n%s\nwant\n%s", a.Files[i].Name, want, a.Files[i].Data)
			}
			a.Files[i].Data, changed = []byte(want), true
		}
	}
	if changed && *update {
		if err := os.WriteFile(name, txtar.Format(a), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPages(t *testing.T) {
	own := 0
	seen := map[string]bool{}
	for _, r := range lint.Rules() {
		if seen[r.Name] {
			t.Errorf("two rules are called %s", r.Name)
		}
		seen[r.Name] = true
		if page := r.Page(); !strings.HasPrefix(page, "# "+r.Name+"\n\n") || len(r.Summary()) < 20 {
			t.Errorf("%s has no page, or one without a summary", r.Name)
		}
		if lint.Find(r.Name) != r {
			t.Errorf("%s is not found", r.Name)
		}
		if r.Owner == "" {
			own++
		}
	}
	if own < 50 {
		t.Errorf("%d rules", own)
	}
	pages, err := os.ReadDir("rules")
	if err != nil || len(pages) != len(lint.Rules()) {
		t.Errorf("%d pages for %d rules, %v", len(pages), len(lint.Rules()), err)
	}
}
