// Command loadstar is the load balancer: it runs, checks and reloads Lbfiles.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/loadstar-lb/loadstar/cmd/internal/usage"
	"github.com/loadstar-lb/loadstar/dsl"
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/modules"
)

// The exit codes (LANGUAGE, "Commands").
const (
	exitGood  = 0
	exitInput = 1 // the input is at fault
	exitUsage = 2 // wrong usage, or a file that cannot be read
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run runs one command line and gives its exit code.
func run(args []string, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:           "loadstar",
		Version:       versionText(),
		Short:         "A load balancer and reverse proxy with a language as friendly as its reloads are safe",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.AddCommand(runCommand(), checkCommand(), reloadCommand(), upgradeCommand(), explainCommand(), testCommand(), graphCommand(), ctlCommand(), topCommand(),
		hashPasswordCommand(), systemdCommand(), manCommand(), versionCommand())
	root.SetVersionTemplate(versionLine())
	usage.Strict(root)
	err := root.Execute()
	var code exitCode
	switch {
	case err == nil:
		return exitGood
	case errors.As(err, &code):
		return int(code)
	default:
		fmt.Fprintf(stderr, "loadstar: %v\n", err)
		return exitUsage
	}
}

// exitCode is an error that was already told to the user.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// vocabulary is that of every module there is.
var vocabulary = modules.Standard().Vocabulary()

// load reads and checks a configuration; src is its text, nil: the file's.
//
// A large one makes much that is soon garbage; collecting it half as often takes
// a third off the time. The memory goes back when the load is over.
func load(file string, src []byte) (*config.Config, *dsl.Sources, diag.List) {
	if os.Getenv("GOGC") == "" {
		defer debug.SetGCPercent(debug.SetGCPercent(400))
	}
	return dsl.Load(file, src, dsl.Options{Vocabulary: vocabulary, Env: os.LookupEnv})
}

// configFlag adds --config.
func configFlag(c *cobra.Command, file *string) {
	c.Flags().StringVarP(file, "config", "c", "Lbfile", "the configuration file")
}
