package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/loadstar-lb/loadstar/cmd/internal/inspect"
	"github.com/loadstar-lb/loadstar/dsl"
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/lint"
	"github.com/loadstar-lb/loadstar/dsl/lsp"
)

// lintAsTyped runs the rules that need no machine to run on, but not those of
// style: an editor formats.
func lintAsTyped(cfg *config.Config, sources *dsl.Sources, found diag.List) diag.List {
	return lint.Run(lint.Input{Config: cfg, Sources: sources, Vocabulary: inspect.Vocabulary(), Found: found})
}

func lspCommand(j *job) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lsp",
		Short: "Serve an editor over standard input and output (Language Server Protocol)",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			err := lsp.Serve(j.in, j.out, lsp.Options{
				Vocabulary: inspect.Vocabulary(),
				Env:        os.LookupEnv,
				Lint:       lintAsTyped,
			})
			if err != nil { // the protocol wants 1, not our 2
				j.exit = exitChanges
			}
			return nil
		},
	}
	// Many clients say how they mean to talk; there is no other way.
	cmd.Flags().Bool("stdio", true, "talk over standard input and output")
	_ = cmd.Flags().MarkHidden("stdio")
	return cmd
}
