package lint_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/dsl"
	"github.com/loadstar-lb/loadstar/dsl/lint"
)

// TestExamples wants the examples clean: a rule that hits one is wrong, or the
// example is.
func TestExamples(t *testing.T) {
	names, err := filepath.Glob("../../caddyfile-examples/*.lb")
	if err != nil || len(names) == 0 {
		t.Fatal("no examples", err)
	}
	for _, name := range names {
		v := vocabulary()
		cfg, sources, found := dsl.Load(name, nil, dsl.Options{Vocabulary: v, Env: func(string) (string, bool) { return "value", true }})
		for _, d := range lint.Run(lint.Input{Config: cfg, Sources: sources, Vocabulary: v, Style: true, Found: found}) {
			t.Error(d.Error())
		}
	}
}

// TestErrorsStay makes sure that no pragma lets pass what the language refuses.
func TestErrorsStay(t *testing.T) {
	found, _ := run(t, "# lint:ignore unknown-option whatever\nhttp://:80 {\n\trespond 200 x typo y\n}\n", nil)
	if !found.HasErrors() {
		t.Error("an error was suppressed")
	}
}

func many(sites int) string {
	var b strings.Builder
	for i := range sites {
		fmt.Fprintf(&b, "http://site%d.example.com {\n\t@api path /api/* and not client 10.0.0.0/8\n\tdeny /.git/* 404\n\tproxy @api api%d\n\tproxy api%d\n}\n", i, i, i)
		fmt.Fprintf(&b, "pool api%d {\n\thealth http GET /health interval 2s\n\tserver one 10.%d.%d.1:80\n\tserver two 10.%d.%d.2:80 weight 2\n}\n",
			i, i/250, i%250, i/250, i%250)
	}
	return b.String()
}

// TestLinear makes sure that ten times the sites cost about ten times the work,
// by counting what is allocated: a clock would measure the machine.
func TestLinear(t *testing.T) {
	cost := func(sites int) float64 {
		in := input(many(sites))
		return testing.AllocsPerRun(1, func() { lint.Run(in) })
	}
	if small, large := cost(50), cost(500); large > 15*small {
		t.Errorf("%.0f allocations for 50 sites, %.0f for 500", small, large)
	}
	// The worst of shapes: every route of one site, of every kind that is followed.
	long := func(routes int) string {
		var b strings.Builder
		b.WriteString("http://:80 {\n")
		for i := range routes {
			fmt.Fprintf(&b, "\tredirect /r%d/* /there/%d\n\tdeny /d%d/*\n\t@h%d path /h%d\n\trewrite @h%d to /x%d\n", i, i, i, i, i, i, i)
		}
		b.WriteString("\trespond 404\n}\n")
		return b.String()
	}
	cost = func(routes int) float64 {
		in := input(long(routes))
		return testing.AllocsPerRun(1, func() { lint.Run(in) })
	}
	if small, large := cost(300), cost(3000); large > 40*small {
		t.Errorf("%.0f allocations for 300 routes of a site, %.0f for 3000", small, large)
	}
}

func input(text string) lint.Input {
	v := vocabulary()
	cfg, sources, found := dsl.Load("Lbfile", []byte(text), dsl.Options{Vocabulary: v, Env: environment})
	return lint.Input{Config: cfg, Sources: sources, Vocabulary: v, Found: found}
}

func BenchmarkRun10000(b *testing.B) {
	in := input(many(10000))
	if in.Config == nil {
		b.Fatal(in.Found)
	}
	for b.Loop() {
		if found := lint.Run(in); len(found) > 0 {
			b.Fatal(found[0])
		}
	}
}

// FuzzRun makes sure that no text makes a rule panic, and that mending is
// settled after a few rounds.
func FuzzRun(f *testing.F) {
	names, _ := filepath.Glob("testdata/*.txtar")
	for _, n := range names {
		text, _ := os.ReadFile(n)
		_, hit, _ := strings.Cut(string(text), "-- hit.lb --\n")
		hit, _, _ = strings.Cut(hit, "-- ")
		f.Add(hit)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for range 10 {
			found, _ := run(t, text, machine{})
			mended, n := lint.Apply("Lbfile", text, found)
			if n == 0 {
				return
			}
			text = mended
		}
		t.Errorf("fixes do not come to an end:\n%s", text)
	})
}
