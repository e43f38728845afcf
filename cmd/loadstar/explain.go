package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"github.com/loadstar-lb/loadstar/cmd/internal/inspect"
	"github.com/loadstar-lb/loadstar/modules/explain"
)

// explaining is one run of `loadstar explain`.
type explaining struct {
	file    string
	headers []string
	from    string
	sni     string
	json    bool
	live    bool
	admin   string
}

func explainCommand() *cobra.Command {
	var x explaining
	c := &cobra.Command{
		Use:   "explain [METHOD] URL",
		Short: "Tell what would become of a request, without sending it",
		Long: "Tell which listener, certificate, site and routes a request meets, what each matcher says of it and why, and which servers\n" +
			"could get it with what chance. Nothing is sent. A stream is asked for by `tcp://:PORT`, or `tls://HOST:PORT`.",
		Example: "  loadstar explain GET http://www.example.com/shop -H 'Cookie: SERVERID=a' --from 10.0.0.7\n" +
			"  loadstar explain tcp://:443 --sni mail.example.com",
		Args: cobra.RangeArgs(1, 2),
		RunE: x.run,
	}
	configFlag(c, &x.file)
	f := c.Flags()
	f.StringArrayVarP(&x.headers, "header", "H", nil, "a field of the request's header, 'Name: value'; may be repeated")
	f.StringVar(&x.from, "from", "", "the client's address (192.0.2.1)")
	f.StringVar(&x.sni, "sni", "", "the server name that the client asks for (the URL's host)")
	f.BoolVar(&x.json, "json", false, "print JSON")
	f.BoolVar(&x.live, "live", false, "ask the running process how its servers are")
	f.StringVar(&x.admin, "admin", "", "its admin endpoint, as in the file; without it the file's, or the default")
	return c
}

func (x *explaining) run(c *cobra.Command, args []string) error {
	q, err := x.question(args)
	if err != nil {
		return err
	}
	e, err := explainer(c, x.file)
	if err != nil {
		return err
	}
	defer e.Close()
	if x.live {
		if err := x.assume(c, e); err != nil {
			return err
		}
	}
	a, err := e.Ask(q)
	if err != nil {
		return err
	}
	if x.json {
		return printJSON(c.OutOrStdout(), a)
	}
	return a.Text(c.OutOrStdout())
}

func (x *explaining) question(args []string) (explain.Question, error) {
	q := explain.Question{Method: args[0], URL: args[len(args)-1], SNI: x.sni}
	if len(args) == 1 {
		q.Method = ""
	}
	for _, h := range x.headers {
		name, value, ok := strings.Cut(h, ":")
		if !ok {
			return q, fmt.Errorf("%q is no header field: write 'Name: value'", h)
		}
		q.Header = append(q.Header, [2]string{strings.TrimSpace(name), strings.TrimSpace(value)})
	}
	if x.from != "" {
		ip, err := netip.ParseAddr(x.from)
		if err != nil {
			return q, fmt.Errorf("--from takes an IP address, not %q", x.from)
		}
		q.From = ip
	}
	return q, nil
}

// assume has the servers be as the running process has them.
func (x *explaining) assume(c *cobra.Command, e *explain.Explainer) error {
	addr := x.admin
	if addr == "" {
		addr = addressOf(x.file)
	}
	var states []explain.State
	if err := getAdmin(c.Context(), addr, "/servers", &states); err != nil {
		return unanswered(addr, err)
	}
	if n := e.Assume(states); n == 0 && len(states) > 0 {
		return errors.New("the running process has none of the servers of this file")
	}
	return nil
}

// explainer reads a configuration and builds its graph; what is wrong is shown.
func explainer(c *cobra.Command, file string) (*explain.Explainer, error) {
	cfg, sources, found := load(file, nil)
	if !found.HasErrors() {
		e, more := explain.New(cfg, sources)
		if e != nil {
			return e, nil
		}
		found = append(found, more...)
	}
	show(c.ErrOrStderr(), inspect.Errors(found), sources)
	return nil, verdict(file, found)
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
