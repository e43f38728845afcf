// Package inspect looks at a configuration as a whole, for every command that
// does so: it reads and checks the text, runs the linter, and builds the graph
// without opening anything.
package inspect

import (
	"log/slog"

	"github.com/loadstar-lb/loadstar/dsl"
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/lint"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/modules"
	"github.com/loadstar-lb/loadstar/modules/graph"
	"github.com/loadstar-lb/loadstar/modules/live"
)

// Options say how to look.
type Options struct {
	Src   []byte    // the text; nil: the file's
	Files dsl.Files // for what is imported; nil: the operating system's
	// Env looks up variables; nil: os.LookupEnv.
	Env func(name string) (string, bool)
	// Here is the machine that the configuration is going to run on; nil: another.
	Here lint.Env
	// Style runs the linter's rules of style, too.
	Style bool
}

// Result is what was found.
type Result struct {
	Config  *config.Config // nil if the text has errors
	Sources *dsl.Sources
	Found   diag.List
}

var vocabulary = modules.Standard().Vocabulary()

// Vocabulary is that of every module there is. It is not to be changed.
func Vocabulary() *spec.Vocabulary { return vocabulary }

// Look reads a configuration, lints it and builds its graph.
func Look(file string, opt Options) Result {
	cfg, sources, found := dsl.Load(file, opt.Src, dsl.Options{Vocabulary: vocabulary, Env: opt.Env, FS: opt.Files})
	r := Result{Config: cfg, Sources: sources, Found: found}
	if cfg != nil {
		r.Found = append(r.Found, build(cfg)...)
	}
	r.Found = lint.Run(lint.Input{
		Config: cfg, Sources: sources, Vocabulary: vocabulary, Env: opt.Here, Style: opt.Style, Found: r.Found,
	})
	return r
}

// build makes the graph, for what it says, and lets it go.
func build(cfg *config.Config) diag.List {
	tx := live.Begin()
	defer tx.Rollback()
	g, found := graph.Build(cfg, graph.Deps{
		Set: modules.Standard(), Shared: graph.NewShared(), Tx: tx, Dry: true, Log: slog.New(slog.DiscardHandler),
	})
	if g != nil {
		g.Close()
	}
	return found
}

// Lint runs the linter alone over a checked configuration, as a load does whose
// graph is built for good.
func Lint(cfg *config.Config, sources *dsl.Sources, found diag.List) diag.List {
	return lint.Run(lint.Input{Config: cfg, Sources: sources, Vocabulary: vocabulary, Env: Here(), Found: found})
}

// Errors gives those diagnostics that refuse.
func Errors(list diag.List) diag.List {
	var out diag.List
	for _, d := range list {
		if d.Severity == diag.Error {
			out = append(out, d)
		}
	}
	return out
}
