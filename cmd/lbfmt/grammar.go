package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/loadstar-lb/loadstar/dsl/reference"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/modules"
)

// grammars are the formats of grammar files, by their names.
var grammars = map[string]func(*spec.Vocabulary) (string, error){
	"textmate": reference.TextMate,
	"vim":      func(v *spec.Vocabulary) (string, error) { return reference.Vim(v), nil },
}

func grammarCommand() *cobra.Command {
	return &cobra.Command{
		Use:       "grammar textmate|vim",
		Short:     "Write a grammar file that highlights Lbfiles to standard output",
		ValidArgs: []string{"textmate", "vim"},
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		RunE: func(c *cobra.Command, args []string) error {
			text, err := grammars[args[0]](modules.Standard().Vocabulary())
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			_, err = io.WriteString(c.OutOrStdout(), text)
			return err
		},
	}
}
