// Package usage refuses wrong usage of a program with commands: it says what is wrong,
// what is near it, and what there is to be said instead.
package usage

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/loadstar-lb/loadstar/dsl/diag"
)

// Strict has a command, and all below it, refuse what they do not know. To cobra a word
// that names no command of a group is no fault: it prints its help and ends well, and so
// does the script that misspelt it.
func Strict(c *cobra.Command) {
	c.SetFlagErrorFunc(flagError)
	if !c.HasParent() {
		c.InitDefaultCompletionCmd() // else it comes later, and is not seen to
	}
	switch takes := c.Args; {
	case !c.Runnable():
		c.Args, c.ValidArgsFunction = cobra.ArbitraryArgs, cobra.NoFileCompletions
		c.DisableFlagsInUseLine = true
		c.RunE = group
	case takes != nil:
		c.Args = func(c *cobra.Command, args []string) error {
			err := takes(c, args)
			if err == nil || !strings.Contains(err.Error(), "arg(s)") && !strings.HasPrefix(err.Error(), "unknown command") {
				return err // what a command says by itself it knows better than this
			}
			return argsError(c, args)
		}
	}
	for _, sub := range c.Commands() {
		Strict(sub)
	}
}

// group is a command that only has others: alone it tells of them.
func group(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return c.Help()
	}
	if near := Near(c, args[0]); near != "" {
		return fmt.Errorf("there is no command %q; did you mean %q?", c.CommandPath()+" "+args[0], near)
	}
	return fmt.Errorf("there is no command %q; %q lists those there are", c.CommandPath()+" "+args[0], c.CommandPath()+" --help")
}

// Near gives the command below c that a word may have been meant to be, with all its
// words; "" if none is near.
func Near(c *cobra.Command, word string) string {
	var names []string
	for _, sub := range c.Commands() {
		if !sub.Hidden {
			names = append(names, sub.Name())
		}
	}
	if near := diag.Nearest(word, names); near != "" {
		return c.CommandPath() + " " + near
	}
	return ""
}

func argsError(c *cobra.Command, args []string) error {
	_, takes, _ := strings.Cut(c.Use, " ")
	if takes != "" {
		return fmt.Errorf("%q takes %s, not %d words; %q says more", c.CommandPath(), takes, len(args), c.CommandPath()+" --help")
	}
	if _, err := os.Stat(args[0]); err == nil && c.Flags().Lookup("config") != nil {
		return fmt.Errorf("%q takes no words; did you mean --config %s?", c.CommandPath(), args[0])
	}
	return fmt.Errorf("%q takes no words, and was given %q", c.CommandPath(), args[0])
}

// flagError adds the flag that is near an unknown one.
func flagError(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return err
	}
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	if near := diag.Nearest(unknown.GetSpecifiedName(), names); near != "" && len(unknown.GetSpecifiedName()) > 1 {
		return fmt.Errorf("%w; did you mean --%s?", err, near)
	}
	return fmt.Errorf("%w; %q lists those there are", err, c.CommandPath()+" --help")
}
