package usage

import (
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func program() *cobra.Command {
	nothing := func(*cobra.Command, []string) error { return nil }
	root := &cobra.Command{Use: "prog", SilenceErrors: true, SilenceUsage: true}
	run := &cobra.Command{Use: "run", Args: cobra.NoArgs, RunE: nothing}
	run.Flags().String("config", "", "the file")
	steer := &cobra.Command{Use: "steer"}
	steer.AddCommand(&cobra.Command{Use: "drain SERVER…", Args: cobra.MinimumNArgs(1), RunE: nothing}, &cobra.Command{Use: "secret", Hidden: true, RunE: nothing})
	hush := &cobra.Command{Use: "hush", RunE: nothing, Args: func(_ *cobra.Command, args []string) error {
		if len(args) > 0 {
			return errors.New("not on the command line")
		}
		return nil
	}}
	root.AddCommand(run, steer, hush)
	Strict(root)
	return root
}

// Whoever errs is told so, and what was near; nobody who errs ends well.
func TestStrict(t *testing.T) {
	here, err := filepath.Abs("usage.go")
	if err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"":                       "",
		"steer":                  "",
		"run":                    "",
		"run --config x":         "",
		"steer drain a b":        "",
		"help steer":             "",
		"rnu":                    `there is no command "prog rnu"; did you mean "prog run"?`,
		"quite-other":            `there is no command "prog quite-other"; "prog --help" lists those there are`,
		"steer drian a":          `there is no command "prog steer drian"; did you mean "prog steer drain"?`,
		"steer secrte":           `there is no command "prog steer secrte"; "prog steer --help" lists those there are`,
		"steer drain":            `"prog steer drain" takes SERVER…, not 0 words; "prog steer drain --help" says more`,
		"run nothing":            `"prog run" takes no words, and was given "nothing"`,
		"run " + here:            `"prog run" takes no words; did you mean --config ` + here + `?`,
		"completion bsh":         `there is no command "prog completion bsh"; did you mean "prog completion bash"?`,
		"hush secret":            "not on the command line",
		"run --confg x":          `unknown flag: --confg; did you mean --config?`,
		"run --other":            `unknown flag: --other; "prog run --help" lists those there are`,
		"run -z":                 `unknown shorthand flag: 'z' in -z; "prog run --help" lists those there are`,
		"run --config":           `flag needs an argument: --config`,
		"steer drain a --confgi": `unknown flag: --confgi; "prog steer drain --help" lists those there are`,
	} {
		root := program()
		root.SetOut(io.Discard)
		root.SetErr(io.Discard)
		root.SetArgs(strings.Fields(line))
		got := ""
		if err := root.Execute(); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("prog %s\n got %s\nwant %s", line, got, want)
		}
	}
}
