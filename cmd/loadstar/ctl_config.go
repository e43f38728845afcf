package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/api"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/history"
	"github.com/loadstar-lb/loadstar/modules/explain"
)

// loading are the options of what puts a configuration in force.
type loading struct {
	confirm time.Duration
	dry     bool
}

func (l *loading) flags(c *cobra.Command) {
	c.Flags().DurationVar(&l.confirm, "confirm", 0, "go back after that `time` unless \"loadstar ctl confirm\" comes before, as in 60s")
	c.Flags().BoolVar(&l.dry, "dry-run", false, "only check it, in the running process")
}

func (l *loading) query(q url.Values) url.Values {
	if l.confirm > 0 {
		q.Set("confirm", l.confirm.String())
	}
	if l.dry {
		q.Set("dry_run", "true")
	}
	return q
}

func (k *ctl) loadCommand() *cobra.Command {
	var l loading
	c := &cobra.Command{
		Use: "load [FILE]", Short: "Put a configuration in force",
		Long: "Put a configuration in force: the file's, - for standard input, or without one the file that the process was started with, read again. " +
			"If it is refused the old one goes on. With --confirm it goes back by itself unless it is confirmed: whatever it does to you, " +
			"the way back stays open, also when this connection is cut.",
		Args: cobra.MaximumNArgs(1),
		RunE: wrap(func(c *cobra.Command, args []string) error {
			r := request{method: http.MethodPost, path: "/reload", query: l.query(url.Values{}), also: http.StatusUnprocessableEntity}
			if len(args) == 1 {
				src, name, err := input(c, args[0])
				if err != nil {
					return err
				}
				r.path, r.body, r.octets = "/load", src, true
				r.query.Set("name", name)
			}
			return k.loaded(c, r)
		}),
	}
	l.flags(c)
	return c
}

// input reads a configuration, and names it so that its imports are found.
func input(c *cobra.Command, file string) (src []byte, name string, err error) {
	if file == "-" {
		src, err = io.ReadAll(c.InOrStdin())
		dir, _ := os.Getwd()
		return src, filepath.Join(dir, "stdin"), err
	}
	if src, err = os.ReadFile(file); err != nil {
		return nil, "", err
	}
	name, err = filepath.Abs(file)
	return src, name, err
}

// loaded sends an order to load, and shows what became of it.
func (k *ctl) loaded(c *cobra.Command, r request) error {
	body, _, err := k.do(c.Context(), r)
	if err != nil {
		return err
	}
	var o api.Loaded
	if err := json.Unmarshal(body, &o); err != nil {
		return err
	}
	if k.format == "json" {
		if _, err := c.OutOrStdout().Write(body); err != nil {
			return err
		}
	} else {
		show(c.ErrOrStderr(), o.Diagnostics, sourcesOf(o.Diagnostics))
	}
	if !o.OK {
		return exitCode(exitInput)
	}
	if k.format == "json" {
		return nil
	}
	w := c.OutOrStdout()
	switch {
	case o.DryRun:
		fmt.Fprintln(w, "the configuration is valid; nothing was changed")
	case o.Pending != nil:
		fmt.Fprintf(w, "generation %d is in force, and goes back to configuration %d at %s unless you run: loadstar ctl confirm\n",
			o.Generation, o.Pending.BackTo, o.Pending.Deadline.Format(time.TimeOnly))
	default:
		fmt.Fprintf(w, "generation %d is in force\n", o.Generation)
	}
	return nil
}

func (k *ctl) confirmCommand() *cobra.Command {
	return &cobra.Command{
		Use: "confirm", Short: "Keep the configuration that waits to be confirmed", Args: cobra.NoArgs,
		RunE: wrap(func(c *cobra.Command, _ []string) error {
			return tell(k, c, request{method: http.MethodPost, path: "/confirm"}, func(p *history.Pending) string {
				return fmt.Sprintf("configuration %d stays in force", p.Number)
			})
		}),
	}
}

func (k *ctl) rollbackCommand() *cobra.Command {
	var l loading
	c := &cobra.Command{
		Use: "rollback [NUMBER]", Short: "Put a former configuration in force again",
		Long: "Put a former configuration in force again, with the texts that its files had then: that of a number (see `show history`), " +
			"or the one before. The file itself is left alone: reading it again undoes this.",
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: k.completeHistory,
		RunE: wrap(func(c *cobra.Command, args []string) error {
			q := l.query(url.Values{})
			if len(args) == 1 {
				q.Set("to", args[0])
			}
			return k.loaded(c, request{method: http.MethodPost, path: "/rollback", query: q, also: http.StatusUnprocessableEntity})
		}),
	}
	l.flags(c)
	return c
}

func (k *ctl) diffCommand() *cobra.Command {
	var from string
	c := &cobra.Command{
		Use: "diff [NUMBER]", Short: "Show what a configuration changed in the one before it",
		Long: "Show what a configuration of the history (the one in force, without a number) changed in the one before it, or in the one of --from.",
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: k.completeHistory,
		RunE: wrap(func(c *cobra.Command, args []string) error {
			var number string
			if len(args) == 1 {
				number = args[0]
			} else {
				var e api.Config
				if err := k.get(c.Context(), "/config", &e); err != nil {
					return err
				}
				number = fmt.Sprint(e.Number)
			}
			q := url.Values{}
			if from != "" {
				q.Set("from", from)
			}
			body, _, err := k.do(c.Context(), request{method: http.MethodGet, path: "/history/" + url.PathEscape(number) + "/diff", query: q})
			if err != nil {
				return err
			}
			if k.format == "json" {
				return printJSON(c.OutOrStdout(), map[string]string{"diff": string(body)})
			}
			_, err = c.OutOrStdout().Write(body)
			return err
		}),
	}
	c.Flags().StringVar(&from, "from", "", "the number of the other configuration")
	_ = c.RegisterFlagCompletionFunc("from", k.completeHistory)
	return c
}

func (k *ctl) graphCommand() *cobra.Command {
	var as string
	c := &cobra.Command{
		Use: "graph", Short: "Listeners, sites, routes, pools and servers, with what was changed at run time", Args: cobra.NoArgs,
		RunE: wrap(func(c *cobra.Command, _ []string) error {
			if k.format == "json" {
				as = "json"
			}
			if as == "json" {
				var o explain.Outline
				if err := k.get(c.Context(), "/config/graph", &o); err != nil {
					return err
				}
				return printJSON(c.OutOrStdout(), &o)
			}
			body, _, err := k.do(c.Context(), request{method: http.MethodGet, path: "/config/graph", query: url.Values{"format": {as}}})
			if err != nil {
				return err
			}
			_, err = c.OutOrStdout().Write(body)
			return err
		}),
	}
	c.Flags().StringVar(&as, "as", "text", "text, dot or svg")
	return c
}
