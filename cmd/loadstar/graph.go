package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/loadstar-lb/loadstar/modules/explain"
)

func graphCommand() *cobra.Command {
	var file, format string
	c := &cobra.Command{
		Use:   "graph",
		Short: "Show listeners, sites, routes, pools and servers",
		Long: "Show what a configuration is made of: as text, in the language of Graphviz (dot), as JSON, or as a picture (svg) that needs nothing else:\n\n" +
			"    loadstar graph --format svg > graph.svg",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			write := map[string]func(*explain.Outline, io.Writer) error{
				"text": (*explain.Outline).Text, "dot": (*explain.Outline).DOT, "svg": (*explain.Outline).SVG,
				"json": func(o *explain.Outline, w io.Writer) error { return printJSON(w, o) },
			}[format]
			if write == nil {
				return fmt.Errorf("--format takes text, dot, json or svg, not %q", format)
			}
			e, err := explainer(c, file)
			if err != nil {
				return err
			}
			defer e.Close()
			return write(e.Outline(), c.OutOrStdout())
		},
	}
	configFlag(c, &file)
	c.Flags().StringVar(&format, "format", "text", "how to show it: text, dot, json or svg")
	return c
}
