package format_test

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/loadstar-lb/loadstar/dsl/format"
	"github.com/loadstar-lb/loadstar/dsl/syntax"
)

var update = flag.Bool("update", false, "write the goldens anew")

// TestGoldens formats the file "in" of every archive and compares it with its
// file "out". In "in", ␍ stands for a carriage return and · for a blank at the
// end of a line, which would not survive an editor.
func TestGoldens(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatal("no goldens", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if len(a.Files) != 2 || a.Files[0].Name != "in" || a.Files[1].Name != "out" {
				t.Fatal("want the files in and out")
			}
			in := strings.NewReplacer("␍", "\r", "·", " ").Replace(string(a.Files[0].Data))
			got, errs := format.Source(name, []byte(in))
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			check(t, []byte(in), got)
			if string(got) == string(a.Files[1].Data) {
				return
			}
			if !*update {
				t.Errorf("got\n%s\nwant\n%s", got, a.Files[1].Data)
			}
			a.Files[1].Data = got
			if err := os.WriteFile(name, txtar.Format(a), 0o644); *update && err != nil {
				t.Fatal(err)
			}
		})
	}
}

// check holds a formatted file against the source: the same tree, the same
// comments in the same order, and nothing left to format.
func check(t *testing.T, in, out []byte) {
	t.Helper()
	before, _ := syntax.Parse("in", in)
	after, errs := syntax.Parse("out", out)
	if len(errs) > 0 {
		t.Fatalf("the result has errors: %v\n%q\n%q", errs, in, out)
	}
	if a, b := outline(before), outline(after); !slices.Equal(a, b) {
		t.Fatalf("the tree changed:\n%q\n%q\nof\n%q\n%q", a, b, in, out)
	}
	again, _ := format.Source("out", out)
	if string(again) != string(out) {
		t.Fatalf("formatting again changes\n%q\nto\n%q", out, again)
	}
	if n := len(out); n > 0 && (out[n-1] != '\n' || n > 1 && strings.HasSuffix(string(out), "\n\n")) {
		t.Fatalf("the file ends in %q", out[max(0, n-5):])
	}
}

// outline lists words, braces and comments in their order.
func outline(f *syntax.File) []string {
	return comments(statements(nil, f.Statements), f.Tail)
}

func statements(to []string, list []*syntax.Statement) []string {
	for _, s := range list {
		to = comments(to, s.Leading)
		for _, w := range s.Words {
			to = append(to, string('0'+rune(w.Quote))+w.Text)
		}
		if b := s.Block; b != nil {
			to = append(to, "{")
			if b.Comment != nil {
				to = append(to, b.Comment.Text)
			}
			to = comments(statements(to, b.Statements), b.Tail)
			to = append(to, "}")
		}
		if s.Trailing != nil {
			to = append(to, s.Trailing.Text)
		}
		to = append(to, ";")
	}
	return to
}

func comments(to []string, list []syntax.Comment) []string {
	for _, c := range list {
		to = append(to, c.Text)
	}
	return to
}

// FuzzFormat looks for a file that changes its meaning by being formatted, or
// that is not in its final form after it.
func FuzzFormat(f *testing.F) {
	names, _ := filepath.Glob("testdata/*.txtar")
	for _, name := range names {
		a, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(a.Files[0].Data))
	}
	f.Add("a \\\n b {\n# lbfmt: off\n x   y\n}\r\n")
	f.Add("a <<X\n\t b\n X c # d\ne # f\n")
	f.Fuzz(func(t *testing.T, src string) {
		if out, errs := format.Source("in", []byte(src)); !errs.HasErrors() {
			check(t, []byte(src), out)
		}
	})
}

// BenchmarkFormat gives the speed over a large file of ordinary lines.
func BenchmarkFormat(b *testing.B) {
	const site = "https://www.example.com {\n  log\n\t@images   path /img/* *.png and not client 10.0.0.0/8 # pictures\n\tproxy @images \"pool one\"   # to it\n\n\n\thandle /api/* {\n\t\tproxy 10.0.0.1:80 10.0.0.2:80\n\t}\n}\n"
	src := []byte(strings.Repeat(site, 5000))
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		if _, errs := format.Source("Lbfile", src); len(errs) > 0 {
			b.Fatal(errs)
		}
	}
}
