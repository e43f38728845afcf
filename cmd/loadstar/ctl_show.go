package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/api"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/history"
	"github.com/loadstar-lb/loadstar/modules/census"
)

// shows is one thing that `show` shows.
type shows struct {
	use, short string
	args       cobra.PositionalArgs
	complete   func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)
	path       func(args []string) (string, url.Values)
	text       func(c *cobra.Command, body []byte) error
}

func (k *ctl) showCommand() *cobra.Command {
	fixed := func(path string) func([]string) (string, url.Values) {
		return func([]string) (string, url.Values) { return path, nil }
	}
	pool := func(path string) func([]string) (string, url.Values) {
		return func(args []string) (string, url.Values) {
			if len(args) == 0 {
				return path, nil
			}
			return path, url.Values{"pool": args[:1]}
		}
	}
	var limit int
	c := &cobra.Command{Use: "show", Short: "Show what is running"}
	c.PersistentFlags().IntVar(&limit, "limit", 0, "how many sessions, connections or entries at most (1000)")
	for _, s := range []shows{
		{"status", "How the process is", cobra.NoArgs, nil, fixed("/status"), k.showStatus},
		{"pools", "The pools", cobra.NoArgs, nil, fixed("/pools"), showPools},
		{"servers [POOL]", "The servers", cobra.MaximumNArgs(1), k.completePools, pool("/servers"), showServers},
		{"sessions [POOL]", "What is in flight", cobra.MaximumNArgs(1), k.completePools, pool("/sessions"), showSessions},
		{"connections", "Which clients are connected", cobra.NoArgs, nil, fixed("/connections"), showConnections},
		{"table [NAME]", "The sticky tables, or the entries of one", cobra.MaximumNArgs(1), k.completeTables, func(args []string) (string, url.Values) {
			if len(args) == 0 {
				return "/tables", nil
			}
			return "/tables/" + url.PathEscape(args[0]), nil
		}, showTable},
		{"config [NUMBER]", "The configuration in force, or one of the history", cobra.MaximumNArgs(1), k.completeHistory, func(args []string) (string, url.Values) {
			if len(args) == 0 {
				return "/config", nil
			}
			return "/history/" + url.PathEscape(args[0]), nil
		}, showConfig},
		{"history", "The configurations that were in force", cobra.NoArgs, nil, fixed("/history"), showHistory},
		{"overlay", "What was changed at run time, and the lines to put into the file", cobra.NoArgs, nil, fixed("/changes"), k.showChanges},
	} {
		limited := strings.HasPrefix(s.use, "sessions") || s.use == "connections" || strings.HasPrefix(s.use, "table")
		c.AddCommand(&cobra.Command{
			Use: s.use, Short: s.short, Args: s.args, ValidArgsFunction: s.complete,
			RunE: wrap(func(c *cobra.Command, args []string) error {
				path, query := s.path(args)
				if limit > 0 && limited && path != "/tables" {
					if query == nil {
						query = url.Values{}
					}
					query.Set("limit", strconv.Itoa(limit))
				}
				body, tag, err := k.do(c.Context(), request{method: http.MethodGet, path: path, query: query})
				if err != nil {
					return err
				}
				if k.format == "json" {
					_, err := c.OutOrStdout().Write(body)
					return err
				}
				if s.use == "status" {
					fmt.Fprintf(c.OutOrStdout(), "tag          %s\n", tag)
				}
				return s.text(c, body)
			}),
		})
	}
	c.AddCommand(k.graphCommand())
	return c
}

// rows decodes an answer and prints it as a table.
func rows[T any](c *cobra.Command, body []byte, head []string, row func(*T) []string) error {
	var all []T
	if err := json.Unmarshal(body, &all); err != nil {
		return err
	}
	return printRows(c, all, head, row)
}

func printRows[T any](c *cobra.Command, all []T, head []string, row func(*T) []string) error {
	out := [][]string{head}
	for i := range all {
		out = append(out, row(&all[i]))
	}
	return table(c.OutOrStdout(), out)
}

func (k *ctl) showStatus(c *cobra.Command, body []byte) error {
	var s api.Status
	if err := json.Unmarshal(body, &s); err != nil {
		return err
	}
	w := c.OutOrStdout()
	fmt.Fprintf(w, "version      %s\nprocess      %d, since %s\n", clean(s.Version), s.PID, s.Started.Format(time.DateTime))
	fmt.Fprintf(w, "generation   %d, since %s; %d older ones drain\n", s.Generation, s.Loaded.Format(time.DateTime), s.Draining)
	fmt.Fprintf(w, "loads        %d, and %d refused\n", s.Loads, s.LoadsFailed)
	fmt.Fprintf(w, "connections  %d\nchanges      %d made at run time\n", s.Connections, s.Changes)
	if p := s.Pending; p != nil {
		fmt.Fprintf(w, "pending      configuration %d goes back to %d at %s unless it is confirmed\n", p.Number, p.BackTo, p.Deadline.Format(time.DateTime))
	}
	return nil
}

func showPools(c *cobra.Command, body []byte) error {
	return rows(c, body, []string{"POOL", "BALANCE", "USABLE", "BACKUPS", "SERVERS", "ACTIVE", "QUEUED", "RATE", "TOTAL"}, func(p *census.Pool) []string {
		return []string{p.Name, p.Balance, strconv.Itoa(p.Usable), strconv.Itoa(p.Backups), strconv.Itoa(len(p.Servers)),
			num(p.Active), num(p.Queued), rate(p.Rate), num(p.Total)}
	})
}

func showServers(c *cobra.Command, body []byte) error {
	return rows(c, body, []string{"SERVER", "ADDRESS", "STATE", "WEIGHT", "ACTIVE", "LIMIT", "QUEUED", "RATE", "TOTAL", "WHY"}, func(s *census.Server) []string {
		weight := strconv.Itoa(s.Weight)
		if s.Weight != s.Configured {
			weight += fmt.Sprintf(" (%d)", s.Configured)
		}
		state := string(s.State)
		if s.Backup {
			state += " backup"
		}
		limit := ""
		if s.Limit > 0 {
			limit = num(s.Limit)
		}
		return []string{s.Pool + "/" + s.Name, s.Address, state, weight, num(s.Active), limit, num(s.Queued), rate(s.Rate), num(s.Total), s.Why}
	})
}

func showSessions(c *cobra.Command, body []byte) error {
	var s api.Sessions
	if err := json.Unmarshal(body, &s); err != nil {
		return err
	}
	err := printRows(c, s.Sessions, []string{"ID", "KIND", "SERVER", "CLIENT", "AGE", "SITE", "REQUEST"}, func(s *api.Session) []string {
		return []string{s.ID, s.Kind, s.Pool + "/" + s.Server, s.Client, seconds(s.Seconds), s.Site, strings.TrimSpace(s.Method + " " + s.Target)}
	})
	more(c, len(s.Sessions), s.All)
	return err
}

func showConnections(c *cobra.Command, body []byte) error {
	var s api.Connections
	if err := json.Unmarshal(body, &s); err != nil {
		return err
	}
	err := printRows(c, s.Connections, []string{"ID", "CLIENT", "PEER", "LOCAL", "SOCKET", "SINCE", "NOW"}, func(s *api.Connection) []string {
		now := "busy"
		if s.Idle {
			now = "idle"
		}
		return []string{strconv.FormatUint(s.ID, 10), s.Client, s.Peer, s.Local, s.Socket, s.Accepted.Format(time.DateTime), now}
	})
	more(c, len(s.Connections), s.All)
	return err
}

func showTable(c *cobra.Command, body []byte) error {
	if strings.HasPrefix(string(body), "[") {
		return rows(c, body, []string{"TABLE", "TYPE", "USED", "SIZE", "EXPIRE"}, func(t *api.Table) []string {
			return []string{t.Name, t.Type, strconv.Itoa(t.Used), strconv.Itoa(t.Size), seconds(t.Seconds)}
		})
	}
	var e api.Entries
	if err := json.Unmarshal(body, &e); err != nil {
		return err
	}
	err := printRows(c, e.Entries, []string{"KEY", "SERVER", "IDLE", "LEFT"}, func(e *api.Entry) []string {
		left := "ever"
		if e.Left >= 0 {
			left = seconds(e.Left)
		}
		return []string{e.Key, e.Server, seconds(e.Idle), left}
	})
	more(c, len(e.Entries), e.All)
	return err
}

func showConfig(c *cobra.Command, body []byte) error {
	var e api.Config
	if err := json.Unmarshal(body, &e); err != nil {
		return err
	}
	for i, f := range e.Files {
		if i > 0 {
			fmt.Fprintf(c.OutOrStdout(), "\n# file %s\n", clean(f.Name))
		}
		fmt.Fprint(c.OutOrStdout(), f.Text)
	}
	return nil
}

func showHistory(c *cobra.Command, body []byte) error {
	var h api.History
	if err := json.Unmarshal(body, &h); err != nil {
		return err
	}
	first := true
	err := printRows(c, h.Entries, []string{"NUMBER", "TIME", "HASH", "FILE", "BY", ""}, func(e *history.Entry) []string {
		note := " "
		switch {
		case first && h.Pending != nil:
			note = "goes back at " + h.Pending.Deadline.Format(time.TimeOnly) + " unless confirmed"
		case first:
			note = "in force"
		}
		first = false
		return []string{strconv.FormatUint(e.Number, 10), e.Time.Format(time.DateTime), e.Hash[:min(12, len(e.Hash))], e.Name, e.By, note}
	})
	return err
}

func (k *ctl) showChanges(c *cobra.Command, body []byte) error {
	if k.format == "json" {
		_, err := c.OutOrStdout().Write(body)
		return err
	}
	var all api.Changes
	if err := json.Unmarshal(body, &all); err != nil {
		return err
	}
	w := c.OutOrStdout()
	if len(all.Changes) == 0 {
		fmt.Fprintln(w, "nothing was changed at run time")
		return nil
	}
	out := [][]string{{"CHANGE", "BY", "SINCE", "UNTIL", "WHY"}}
	for i := range all.Changes {
		l := &all.Changes[i]
		until, why := "", l.Why
		if !l.Expires.IsZero() {
			until = l.Expires.Format(time.DateTime)
		}
		if !l.InForce {
			why = strings.TrimPrefix(why+"; rests: "+l.Note, "; ")
		}
		out = append(out, []string{l.String(), l.By, l.At.Format(time.DateTime), until, why})
	}
	if err := table(w, out); err != nil {
		return err
	}
	if len(all.Lines) > 0 {
		fmt.Fprintln(w, "\nTo make it permanent, put into the file:")
	}
	for _, p := range all.Lines {
		fmt.Fprintf(w, "\npool %s {\n", clean(p.Pool))
		for _, l := range p.Lines {
			fmt.Fprintf(w, "\t%s\n", clean(l))
		}
		fmt.Fprintln(w, "}")
	}
	return nil
}

func more(c *cobra.Command, shown, all int) {
	if all > shown {
		fmt.Fprintf(c.OutOrStdout(), "%d more are not shown (--limit)\n", all-shown)
	}
}

func num(n int64) string { return strconv.FormatInt(n, 10) }

func rate(r float64) string {
	if r > 0 && r < 10 {
		return strconv.FormatFloat(r, 'f', 1, 64)
	}
	return strconv.FormatFloat(r, 'f', 0, 64)
}

func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case d < 10*time.Second:
		return d.Round(10 * time.Millisecond).String()
	default:
		return d.Round(time.Second).String()
	}
}
