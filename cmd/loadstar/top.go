package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/api"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/top"
	"github.com/loadstar-lb/loadstar/modules/census"
	"github.com/loadstar-lb/loadstar/modules/overlay"
)

func topCommand() *cobra.Command {
	k := &ctl{format: "text"}
	var once bool
	var every time.Duration
	c := &cobra.Command{
		Use: "top", Short: "Watch the running process: sites, pools and servers, live",
		Long: "Watch the running process in a terminal: sites, pools and servers, with states, rates and what is in progress. Keys: arrows (or j, k) " +
			"choose a server, d drains it, m puts it into maintenance, r makes it ready, w gives it a weight, s sorts, / filters, q quits.",
		Args: cobra.NoArgs,
		RunE: wrap(func(c *cobra.Command, _ []string) error {
			if every < 100*time.Millisecond {
				return errors.New("--interval is at least 100ms")
			}
			src := watched{k}
			if !once {
				ctx := c.Context()
				if ctx == nil {
					ctx = context.Background()
				}
				return top.Run(ctx, os.Stdin, os.Stdout, src, every)
			}
			m := top.Model{At: time.Now()}
			var err error
			if m.Census, err = src.Census(c.Context()); err != nil {
				return err
			}
			for _, line := range m.Once() {
				fmt.Fprintln(c.OutOrStdout(), line)
			}
			return nil
		}),
	}
	k.flags(c)
	c.Flags().BoolVar(&once, "once", false, "print it once, for a pipe")
	c.Flags().DurationVar(&every, "interval", time.Second, "how often to look")
	return c
}

// watched is the running process as top sees it.
type watched struct{ *ctl }

// Census implements top.Source.
func (w watched) Census(ctx context.Context) (*census.Census, error) {
	c := new(census.Census)
	return c, w.get(ctx, "/census", c)
}

// Act implements top.Source.
func (w watched) Act(ctx context.Context, a top.Action) (string, error) {
	s, err := w.change(ctx, api.Order{Kind: overlay.Kind(a.Do), Pool: a.Pool, Server: a.Server, Weight: a.Weight, Why: "loadstar top"})
	if err != nil || s == nil {
		return "", err
	}
	return s.Pool + "/" + s.Name + ": " + describe(s), nil
}
