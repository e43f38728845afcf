// Command lbfmt formats Lbfiles, as gofmt does Go files. It has no options of
// style.
//
// Exit codes: 0 good; 1 with -l or -d, if something would change; 2 wrong
// usage, an unreadable file or a syntax error, which leaves the file as it is.
package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/loadstar-lb/loadstar/cmd/internal/usage"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

// The exit codes.
const (
	exitGood    = 0
	exitChanges = 1
	exitTrouble = 2
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run is main with its surroundings as arguments.
func run(args []string, in io.Reader, out, errs io.Writer) int {
	j := &job{in: in, out: out, errs: errs}
	if f, ok := errs.(*os.File); ok {
		j.style = diag.StyleFor(f)
	}
	cmd := command(j)
	cmd.SetArgs(args)
	cmd.SetOut(out)
	cmd.SetErr(errs)
	if err := cmd.Execute(); err != nil {
		fmt.Fprintln(errs, "lbfmt:", err)
		return exitTrouble
	}
	return j.exit
}

func command(j *job) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "lbfmt [-l] [-d] [-w] [FILE…]",
		Short:   "Format Lbfiles",
		Version: buildVersion(),
		Long: "lbfmt formats Lbfiles: standard input to standard output without a FILE. A directory\n" +
			"stands for every *.lb and Lbfile in it and below it.",
		Args:              cobra.ArbitraryArgs,
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		RunE: func(cmd *cobra.Command, files []string) error {
			if len(files) == 1 {
				if _, err := os.Stat(files[0]); errors.Is(err, fs.ErrNotExist) {
					if near := usage.Near(cmd, files[0]); near != "" {
						return fmt.Errorf("there is no file %q; did you mean %q?", files[0], near)
					}
				}
			}
			if len(files) > 0 {
				j.files(files)
				return nil
			}
			if j.write {
				return errors.New("-w needs a FILE: standard input cannot be written back")
			}
			j.standardInput()
			return nil
		},
	}
	cmd.AddCommand(lintCommand(j), lspCommand(j), grammarCommand(), docsCommand(), manCommand())
	cmd.Flags().BoolVarP(&j.list, "list", "l", false, "list the files that would change; exit 1 if there are any")
	cmd.Flags().BoolVarP(&j.diff, "diff", "d", false, "show what would change; exit 1 if anything would")
	cmd.Flags().BoolVarP(&j.write, "write", "w", false, "write the result to the file instead of standard output")
	usage.Strict(cmd)
	return cmd
}
