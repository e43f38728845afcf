package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/loadstar-lb/loadstar/cmd/internal/inspect"
	"github.com/loadstar-lb/loadstar/dsl"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

func checkCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "check",
		Short: "Check a configuration as `run` would, without binding anything",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			sources, found := check(file)
			show(c.ErrOrStderr(), found, sources)
			if code := verdict(file, found); code != exitGood {
				return code
			}
			fmt.Fprintf(c.OutOrStdout(), "%s is good\n", file)
			return nil
		},
	}
	configFlag(c, &file)
	return c
}

// check does everything that a start does short of opening sockets and logs.
func check(file string) (*dsl.Sources, diag.List) {
	r := inspect.Look(file, inspect.Options{Here: inspect.Here()})
	if r.Config != nil && !r.Found.HasErrors() {
		_, more := privilegesOf(r.Config)
		r.Found = append(r.Found, more...)
	}
	return r.Sources, r.Found
}

// verdict is the exit code of a list of diagnostics: a file that cannot be read
// is wrong usage, anything else that refuses is the input's fault.
func verdict(file string, found diag.List) exitCode {
	if !found.HasErrors() {
		return exitGood
	}
	if _, err := os.Stat(file); err != nil {
		return exitUsage
	}
	return exitInput
}

// show prints diagnostics with their sources, as many as a person reads.
func show(w io.Writer, found diag.List, sources *dsl.Sources) {
	style := diag.Style{}
	if f, ok := w.(*os.File); ok {
		style = diag.StyleFor(f)
	}
	file := ""
	if len(found) > 0 {
		file = found[0].Range.File
	}
	_ = diag.Render(w, dsl.Shown(found, file), sources, style)
}
