package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/api"
	"github.com/loadstar-lb/loadstar/modules/census"
)

// Completion asks the running process what there is. Where it does not answer at
// once, nothing is offered: a shell must not hang.

const completionPatience = 2 * time.Second

func (k *ctl) ask(c *cobra.Command, path string, into any) bool {
	parent := c.Context()
	if parent == nil {
		parent = context.Background()
	}
	ctx, cancel := context.WithTimeout(parent, completionPatience)
	defer cancel()
	return k.get(ctx, path, into) == nil
}

func (k *ctl) completeServers(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	var out []string
	var all []census.Server
	if k.ask(c, "/servers", &all) {
		for i := range all {
			s := &all[i]
			out = append(out, s.Pool+"/"+s.Name+"\t"+s.Address+" "+string(s.State))
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// first has only the first argument completed.
func first(args []string, complete func() ([]string, cobra.ShellCompDirective)) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return complete()
}

func (k *ctl) completeOneServer(c *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	return first(args, func() ([]string, cobra.ShellCompDirective) { return k.completeServers(c, args, word) })
}

// completePools offers pools; of a new server the name is to follow behind them.
func (k *ctl) completePools(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return first(args, func() ([]string, cobra.ShellCompDirective) {
		slash, directive := "", cobra.ShellCompDirectiveNoFileComp
		if c.Name() == "server" {
			slash, directive = "/", directive|cobra.ShellCompDirectiveNoSpace
		}
		var out []string
		var all []census.Pool
		if k.ask(c, "/pools", &all) {
			for i := range all {
				out = append(out, all[i].Name+slash)
			}
		}
		return out, directive
	})
}

func (k *ctl) completeTables(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return first(args, func() ([]string, cobra.ShellCompDirective) {
		var out []string
		var all []api.Table
		if k.ask(c, "/tables", &all) {
			for _, t := range all {
				out = append(out, t.Name)
			}
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	})
}

func (k *ctl) completeHistory(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return first(args, func() ([]string, cobra.ShellCompDirective) {
		var out []string
		var h api.History
		if k.ask(c, "/history", &h) {
			for _, e := range h.Entries {
				out = append(out, fmt.Sprintf("%d\t%s by %s", e.Number, e.Time.Format(time.DateTime), e.By))
			}
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	})
}
