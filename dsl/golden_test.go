package dsl_test

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/loadstar-lb/loadstar/dsl"
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var update = flag.Bool("update", false, "write the goldens anew")

// archive serves the files of a txtar archive as a file system.
type archive map[string][]byte

func (a archive) ReadFile(name string) ([]byte, error) {
	if src, ok := a[name]; ok {
		return src, nil
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

func (a archive) Glob(pattern string) ([]string, error) {
	var out []string
	for name := range a {
		ok, err := filepath.Match(pattern, name)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, name)
		}
	}
	return out, nil
}

var testEnv = map[string]string{
	"PORT": "8080", "EMPTY": "", "SPACES": "two words", "BRACES": "{ } @x and", "LINES": "a\nb", "HOST": "www.example.com",
}

func lookup(name string) (string, bool) {
	v, ok := testEnv[name]
	return v, ok
}

// TestGoldens loads the Lbfile of every archive of testdata/check and compares
// the diagnostics with its file "want", the configuration with its file
// "config", if it has one.
func TestGoldens(t *testing.T) {
	names, err := filepath.Glob("testdata/check/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatal("no goldens", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name, a)
		})
	}
}

func golden(t *testing.T, name string, a *txtar.Archive) {
	files := archive{}
	for _, f := range a.Files {
		files[f.Name] = f.Data
	}
	cfg, sources, list := dsl.Load("Lbfile", files["Lbfile"], dsl.Options{Vocabulary: vocabulary(), Env: lookup, FS: files})
	if (cfg == nil) != list.HasErrors() {
		t.Errorf("configuration %v with diagnostics %v", cfg, list)
	}
	var got bytes.Buffer
	if err := diag.Render(&got, list, sources, diag.Style{}); err != nil {
		t.Fatal(err)
	}
	compare := map[string]string{"want": got.String()}
	if _, ok := files["config"]; ok && cfg != nil {
		compare["config"] = show(cfg)
	}
	changed := false
	for i := range a.Files {
		text, ok := compare[a.Files[i].Name]
		if !ok || text == string(a.Files[i].Data) {
			continue
		}
		if !*update {
			t.Errorf("%s: got\n%s\nwant\n%s", a.Files[i].Name, text, a.Files[i].Data)
		}
		a.Files[i].Data = []byte(text)
		changed = true
	}
	if _, ok := files["want"]; !ok {
		t.Fatal("no file named want")
	}
	if changed && *update {
		if err := os.WriteFile(name, txtar.Format(a), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// show writes a configuration as an outline.
func show(cfg *config.Config) string {
	var b strings.Builder
	nodes(&b, "", cfg.Process)
	for _, p := range cfg.Pools {
		fmt.Fprintf(&b, "pool %s inline=%v\n", p.Name, p.Inline)
		nodes(&b, "  ", p.Body)
	}
	for _, s := range cfg.Sites {
		fmt.Fprintf(&b, "site %s tcp=%v\n", s.Name, s.TCP)
		for _, a := range s.Addresses {
			fmt.Fprintf(&b, "  address %s host=%q port=%d path=%q tls=%v automatic=%v\n", a.Scheme, a.Host, a.Port, a.Path, a.TLS, a.Automatic)
		}
		for _, m := range s.Matchers {
			fmt.Fprintf(&b, "  @%s %s\n", m.Name, expr(&m.Expr))
		}
		nodes(&b, "  ", s.Body)
	}
	nodes(&b, "", cfg.Tests)
	return b.String()
}

func nodes(b *strings.Builder, indent string, in []config.Node) {
	for _, n := range in {
		b.WriteString(indent + n.Word)
		if n.Variant != "" {
			b.WriteString("=" + n.Variant)
		}
		if n.When != nil {
			fmt.Fprintf(b, " when %s", expr(n.When))
		}
		for _, v := range n.Args {
			fmt.Fprintf(b, " %q", v.Text)
			if v.Int != 0 {
				fmt.Fprintf(b, "(%d)", v.Int)
			}
		}
		if n.Defaulted {
			b.WriteString(" (default)")
		}
		b.WriteString("\n")
		nodes(b, indent+"  - ", n.Options)
		nodes(b, indent+"  ", n.Body)
	}
}

func expr(e *config.Expr) string {
	switch e.Op {
	case config.Not:
		return "not " + expr(&e.Kids[0])
	case config.Test:
		s := e.Word
		for _, v := range e.Args {
			s += " " + v.Text
		}
		return s
	}
	var kids []string
	for i := range e.Kids {
		kids = append(kids, expr(&e.Kids[i]))
	}
	return "(" + strings.Join(kids, map[config.Op]string{config.And: " and ", config.Or: " or "}[e.Op]) + ")"
}
