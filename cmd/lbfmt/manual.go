package main

import (
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/loadstar-lb/loadstar/cmd/internal/man"
)

func manCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write the manual page to a directory",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			text := man.Command(c.Root(), buildVersion(),
				man.Extra{Title: "Exit status", Text: "0: good. 1: with -l or -d, something would change; with lint, something was found. 2: wrong usage, an unreadable file or a syntax error."},
				man.Extra{Title: "See also", Text: "`loadstar`(1), `lbfile`(5)"})
			return os.WriteFile(filepath.Join(args[0], "lbfmt.1"), []byte(text), 0o644)
		},
	}
}

// version is set by the build (-ldflags "-X main.version=…").
var version string

func buildVersion() string {
	if info, ok := debug.ReadBuildInfo(); version == "" && ok {
		return info.Main.Version
	}
	return version
}
