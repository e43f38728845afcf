package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/loadstar-lb/loadstar/cmd/internal/inspect"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/lint"
	"github.com/loadstar-lb/loadstar/dsl/syntax"
)

// linting is one run of `lbfmt lint`.
type linting struct {
	*job
	format  string
	failOn  string
	explain string
	fix     bool
	here    bool

	reports []report
}

// report is what was found in one configuration.
type report struct {
	file    string
	sources *diag.Sources
	found   diag.List
}

func lintCommand(j *job) *cobra.Command {
	l := &linting{job: j}
	cmd := &cobra.Command{
		Use:   "lint [FILE…]",
		Short: "Find what configurations will do wrong",
		Long: "lint checks configurations and judges them by the rules of the linter: standard input without a FILE. A directory stands\n" +
			"for the Lbfiles in it and below it, less those that another one imports. A comment suppresses a finding where it is meant:\n\n" +
			"    # lint:ignore RULE reason\n\n" +
			"Exit codes: 0 good, 1 something was found, 2 wrong usage or an unreadable file.",
		Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, files []string) error {
			if l.explain != "" {
				return l.page(l.explain)
			}
			return l.run(files)
		},
	}
	f := cmd.Flags()
	f.StringVar(&l.format, "format", "text", "how to print findings: text, json, sarif or github")
	f.StringVar(&l.failOn, "fail-on", "warning", "what makes the exit code 1: error, warning or info")
	f.StringVar(&l.explain, "explain", "", "print the page of a rule (of all: a list)")
	f.BoolVar(&l.fix, "fix", false, "mend what can be mended with certainty, and show the rest")
	f.BoolVar(&l.here, "here", false, "the configuration is for this machine: look at its addresses, limits and files, too")
	return cmd
}

// page prints a rule's page, or the list of all rules.
func (l *linting) page(name string) error {
	if r := lint.Find(name); r != nil {
		l.print([]byte(r.Page()))
		return nil
	}
	if name == "all" {
		for _, r := range lint.Rules() {
			l.print(fmt.Appendf(nil, "%-38s %-8s %s\n", r.Name, r.Severity, r.Summary()))
		}
		return nil
	}
	names := make([]string, len(lint.Rules()))
	for i, r := range lint.Rules() {
		names[i] = r.Name
	}
	if near := diag.Nearest(name, names); near != "" {
		return fmt.Errorf("there is no rule %q; did you mean %q?", name, near)
	}
	return fmt.Errorf("there is no rule %q; --explain all lists them", name)
}

func (l *linting) run(files []string) error {
	limit, ok := map[string]diag.Severity{"error": diag.Error, "warning": diag.Warning, "info": diag.Info}[l.failOn]
	if !ok {
		return fmt.Errorf("--fail-on takes error, warning or info, not %q", l.failOn)
	}
	write := map[string]func(io.Writer, []report) error{"json": writeJSON, "sarif": writeSARIF, "github": writeGitHub, "text": l.writeText}[l.format]
	if write == nil {
		return fmt.Errorf("--format takes text, json, sarif or github, not %q", l.format)
	}
	switch {
	case len(files) == 0 && l.fix:
		return fmt.Errorf("--fix needs a FILE: standard input cannot be written back")
	case len(files) == 0:
		src, err := io.ReadAll(io.LimitReader(l.in, syntax.MaxSize+1))
		if err != nil {
			return err
		}
		l.look("<standard input>", src)
	default:
		l.all(files)
	}
	for _, r := range l.reports {
		for _, d := range r.found {
			if d.Severity <= limit {
				l.exit = max(l.exit, exitChanges)
			}
		}
	}
	return write(l.out, l.reports)
}

// all lints files and directories; one that fails does not stop the rest.
func (l *linting) all(names []string) {
	for _, name := range names {
		info, err := os.Stat(name)
		switch {
		case err != nil:
			l.trouble(err)
		case info.IsDir():
			l.below(name)
		default:
			l.file(name)
		}
	}
}

// below lints the configurations of a directory: what one of them imports is
// part of that one.
func (l *linting) below(root string) {
	first := len(l.reports)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			l.trouble(err)
		case d.IsDir() && path != root && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case d.Type().IsRegular() && (d.Name() == "Lbfile" || filepath.Ext(d.Name()) == ".lb"):
			l.file(path)
		}
		return nil
	})
	if err != nil {
		l.trouble(err)
	}
	imported := map[string]bool{}
	for _, r := range l.reports[first:] {
		for _, f := range r.sources.Files() {
			if f != r.file {
				imported[filepath.Clean(f)] = true
			}
		}
	}
	own := slices.DeleteFunc(l.reports[first:], func(r report) bool { return imported[filepath.Clean(r.file)] })
	l.reports = l.reports[:first+len(own)]
}

func (l *linting) file(name string) {
	if l.fix {
		if err := l.mend(name); err != nil {
			l.trouble(err)
			return
		}
	}
	src, err := read(name)
	if err != nil {
		l.trouble(err)
		return
	}
	l.look(name, src)
}

func (l *linting) look(name string, src []byte) {
	r := inspect.Look(name, l.options(src))
	l.reports = append(l.reports, report{name, r.Sources, r.Found})
}

func (l *linting) options(src []byte) inspect.Options {
	o := inspect.Options{Src: src, Style: true}
	if l.here {
		o.Here = inspect.Here()
	}
	return o
}

func (l *linting) writeText(w io.Writer, all []report) error {
	style := diag.Style{}
	if f, ok := w.(*os.File); ok {
		style = diag.StyleFor(f)
	}
	for _, r := range all {
		if err := diag.Render(w, r.found, r.sources, style); err != nil {
			return err
		}
	}
	return nil
}
