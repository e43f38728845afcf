package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/loadstar-lb/loadstar/dsl/lsp"
	"github.com/loadstar-lb/loadstar/modules"
)

func lspCommand(j *job) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lsp",
		Short: "Serve an editor over standard input and output (Language Server Protocol)",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			err := lsp.Serve(j.in, j.out, lsp.Options{
				Vocabulary: modules.Standard().Vocabulary(),
				Env:        os.LookupEnv,
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
