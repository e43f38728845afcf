package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/api"
	"github.com/loadstar-lb/loadstar/modules/census"
	"github.com/loadstar-lb/loadstar/modules/overlay"
)

// lasting are the options of what stays until it is taken back.
type lasting struct{ during, why string }

func (l *lasting) flags(c *cobra.Command) {
	c.Flags().StringVar(&l.during, "for", "", "take it back by itself after that time, as in 30m")
	c.Flags().StringVar(&l.why, "why", "", "what for; shown where changes are listed")
}

// order makes one change, and shows the server as it is then.
func (k *ctl) order(c *cobra.Command, o api.Order) error {
	s, err := k.change(c.Context(), o)
	if err != nil {
		return err
	}
	if k.format == "json" {
		return printJSON(c.OutOrStdout(), s)
	}
	if s == nil {
		fmt.Fprintf(c.OutOrStdout(), "%s/%s: removed\n", clean(o.Pool), clean(o.Server))
		return nil
	}
	fmt.Fprintf(c.OutOrStdout(), "%s/%s: %s\n", clean(s.Pool), clean(s.Name), clean(describe(s)))
	return nil
}

// change makes one change; the server is nil if it is gone.
func (k *ctl) change(ctx context.Context, o api.Order) (*census.Server, error) {
	body, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	answer, _, err := k.do(ctx, request{method: http.MethodPost, path: "/changes", body: body})
	if err != nil {
		return nil, err
	}
	var s *census.Server
	err = json.Unmarshal(answer, &s)
	return s, err
}

// describe tells how a server is, in a line.
func describe(s *census.Server) string {
	text := string(s.State)
	if s.Why != "" {
		text += " (" + s.Why + ")"
	}
	text += fmt.Sprintf(", weight %d", s.Weight)
	if s.Limit > 0 {
		text += fmt.Sprintf(", maxconn %d", s.Limit)
	}
	return text + fmt.Sprintf(", %d in progress", s.Active)
}

// stateCommand is drain, maint or ready.
func (k *ctl) stateCommand(word, short, long string) *cobra.Command {
	var l lasting
	c := &cobra.Command{
		Use: word + " POOL/SERVER…", Short: short, Long: long, Args: cobra.MinimumNArgs(1), ValidArgsFunction: k.completeServers,
		RunE: wrap(func(c *cobra.Command, args []string) error {
			for _, a := range args {
				pool, server, err := serverName(a)
				if err != nil {
					return err
				}
				if err := k.order(c, api.Order{Kind: overlay.Kind(word), Pool: pool, Server: server, For: l.during, Why: l.why}); err != nil {
					return err
				}
			}
			return nil
		}),
	}
	l.flags(c)
	return c
}

// changes has a command change the server that its first word names. fill adds to the
// order what the other words say; nil: there are none.
func (k *ctl) changes(c *cobra.Command, kind overlay.Kind, fill func(o *api.Order, words []string) error) *cobra.Command {
	var l lasting
	l.flags(c)
	if c.ValidArgsFunction == nil {
		c.ValidArgsFunction = k.completeOneServer
	}
	c.RunE = wrap(func(c *cobra.Command, args []string) error {
		pool, server, err := serverName(args[0])
		if err != nil {
			return err
		}
		o := api.Order{Kind: kind, Pool: pool, Server: server, For: l.during, Why: l.why}
		if fill != nil {
			if err := fill(&o, args[1:]); err != nil {
				return err
			}
		}
		return k.order(c, o)
	})
	return c
}

func (k *ctl) weightCommand() *cobra.Command {
	return k.changes(&cobra.Command{
		Use: "weight POOL/SERVER WEIGHT", Short: "Give a server another weight", Args: cobra.ExactArgs(2),
		Long: "Give a server another weight: 0 to 256, or a part of the configured one, as in 50%. 100% takes the change back; 0 drains.",
	}, overlay.Weight, func(o *api.Order, words []string) error {
		o.Weight = words[0]
		return nil
	})
}

func (k *ctl) maxconnCommand() *cobra.Command {
	return k.changes(&cobra.Command{
		Use: "maxconn POOL/SERVER N", Short: "Give a server another maxconn; 0 is no limit", Args: cobra.ExactArgs(2),
	}, overlay.Maxconn, func(o *api.Order, words []string) error {
		n, err := strconv.Atoi(words[0])
		if err != nil {
			return fmt.Errorf("%q is no maxconn: write a number, 0 for no limit", words[0])
		}
		o.Maxconn = &n
		return nil
	})
}

func (k *ctl) addCommand() *cobra.Command {
	c := &cobra.Command{Use: "add", Short: "Add a server"}
	c.AddCommand(k.changes(&cobra.Command{
		Use: "server POOL/NAME ADDRESS [OPTION…]", Short: "Add a server to a pool", Args: cobra.MinimumNArgs(2),
		Long:              "Add a server to a pool, with the options that `server` takes in the file.",
		Example:           "  loadstar ctl add server web/web9 10.0.0.9:80 weight 2 maxconn 100",
		ValidArgsFunction: k.completePools,
	}, overlay.Add, func(o *api.Order, words []string) error {
		o.Address, o.Options = words[0], strings.Join(words[1:], " ")
		return nil
	}))
	return c
}

func (k *ctl) removeCommand() *cobra.Command {
	c := &cobra.Command{Use: "remove", Short: "Remove a server"}
	c.AddCommand(k.changes(&cobra.Command{
		Use: "server POOL/SERVER", Short: "Take a server out of its pool", Args: cobra.ExactArgs(1),
		Long: "Take a server out of its pool: it gets no exchange any more, those in progress end.",
	}, overlay.Remove, nil))
	return c
}

func (k *ctl) shutCommand() *cobra.Command {
	var id string
	c := &cobra.Command{
		Use: "shut [POOL/SERVER]", Short: "End what is in progress on a server, or one session",
		Long: "End what is in progress on a server: exchanges, tunnels and streams; or one session, by the ID of `show sessions`. " +
			"The server goes on to get new ones unless it is drained or in maintenance.",
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: k.completeOneServer,
		RunE: wrap(func(c *cobra.Command, args []string) error {
			q := url.Values{}
			switch {
			case (id == "") == (len(args) == 0):
				return fmt.Errorf("say which: POOL/SERVER, or --id ID")
			case id != "":
				q.Set("id", id)
			default:
				pool, server, err := serverName(args[0])
				if err != nil {
					return err
				}
				q.Set("pool", pool)
				q.Set("server", server)
			}
			return k.count(c, "/sessions", q, "shut")
		}),
	}
	c.Flags().StringVar(&id, "id", "", "the ID of one session")
	return c
}

// count deletes, and tells how many were.
func (k *ctl) count(c *cobra.Command, path string, q url.Values, done string) error {
	return tell(k, c, request{method: http.MethodDelete, path: path, query: q}, func(n *api.Count) string {
		return fmt.Sprintf("%d %s", n.Count, done)
	})
}

func (k *ctl) clearCommand() *cobra.Command {
	c := &cobra.Command{Use: "clear", Short: "Take back changes, or forget entries of a table"}
	changes := &cobra.Command{
		Use: "changes [POOL[/SERVER]]", Short: "Take back what was changed at run time: of a server, of a pool, or everything",
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: k.completeOneServer,
		RunE: wrap(func(c *cobra.Command, args []string) error {
			q := url.Values{}
			if len(args) == 1 {
				pool, server, err := k.poolOrServer(c.Context(), args[0])
				if err != nil {
					return err
				}
				q.Set("pool", pool)
				if server != "" {
					q.Set("server", server)
				}
			}
			body, _, err := k.do(c.Context(), request{method: http.MethodDelete, path: "/changes", query: q})
			if err != nil {
				return err
			}
			return k.showChanges(c, body)
		}),
	}
	var key, server string
	table := &cobra.Command{
		Use: "table NAME", Short: "Forget entries of a sticky table: of a client, of a server, or all",
		Args: cobra.ExactArgs(1), ValidArgsFunction: k.completeTables,
		RunE: wrap(func(c *cobra.Command, args []string) error {
			q := url.Values{}
			if key != "" {
				q.Set("key", key)
			}
			if server != "" {
				q.Set("server", server)
			}
			return k.count(c, "/tables/"+url.PathEscape(args[0]), q, "forgotten")
		}),
	}
	table.Flags().StringVar(&key, "key", "", "only of that client")
	table.Flags().StringVar(&server, "server", "", "only those of that server")
	c.AddCommand(changes, table)
	return c
}

// poolOrServer tells POOL from POOL/SERVER: a pool's name may hold slashes.
func (k *ctl) poolOrServer(ctx context.Context, s string) (pool, server string, err error) {
	var all []census.Pool
	if err := k.get(ctx, "/pools", &all); err != nil {
		return "", "", err
	}
	for i := range all {
		if all[i].Name == s {
			return s, "", nil
		}
	}
	if !strings.Contains(s, "/") {
		return s, "", nil
	}
	return serverName(s)
}
