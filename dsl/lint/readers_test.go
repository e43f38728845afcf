package lint_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/loadstar-lb/loadstar/dsl/diag"
)

// TestReaders runs all rules over what readers of the article wrote: the finding
// says what will happen, and what it says to write instead has none.
func TestReaders(t *testing.T) {
	names, err := filepath.Glob("testdata/readers/*.txtar")
	if err != nil || len(names) < 4 {
		t.Fatal("the fixtures are missing", err)
	}
	for _, name := range names {
		a, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i := range a.Files {
			text := strings.ReplaceAll(string(a.Files[i].Data), "{$SECRET_HASH}", "$2y$05$yPoVPgsvXQTRAiIFcUUmJuIWFALjVGKp8l1kSAkYVXnrLFRQcHEm2")
			switch a.Files[i].Name {
			case "Lbfile":
				found, sources := run(t, text, nil)
				var b bytes.Buffer
				if err := diag.Render(&b, found, sources, diag.Style{}); err != nil {
					t.Fatal(err)
				}
				if len(found) == 0 {
					t.Errorf("%s: nothing is found", name)
				}
				if want := string(a.Files[i+1].Data); b.String() != want && !*update {
					t.Errorf("%s: got\n%s\nwant\n%s", name, b.String(), want)
				}
				a.Files[i+1].Data = b.Bytes()
			case "instead":
				if found, _ := run(t, text, nil); len(found) > 0 {
					t.Errorf("%s: what is to be written instead has findings: %v", name, found)
				}
			}
		}
		if *update {
			if err := os.WriteFile(name, txtar.Format(a), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}
