package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/api"
	"github.com/loadstar-lb/loadstar/dsl"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

func ctlCommand() *cobra.Command {
	k := &ctl{}
	c := &cobra.Command{
		Use:   "ctl",
		Short: "See and steer the running process",
		Long: "See and steer the running process, through its admin endpoint. A server is named POOL/SERVER.\n\n" +
			"What is changed so lies over the configuration: it survives reloads, and restarts where the file names a `state` directory. " +
			"`show overlay` lists it, with the lines that would make it permanent; `clear changes` takes it back.",
		Example: "  loadstar ctl drain web/web1 --for 30m --why 'new kernel'\n" +
			"  loadstar ctl add server web/web9 10.0.0.9:80 weight 2\n" +
			"  loadstar ctl load Lbfile --confirm 60s && loadstar ctl confirm",
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if k.format != "text" && k.format != "json" {
				return fmt.Errorf("--format takes text or json, not %q", k.format)
			}
			return nil
		},
	}
	k.flags(c)
	c.PersistentFlags().StringVar(&k.format, "format", "text", "how to show it: text or json")
	c.PersistentFlags().StringVar(&k.ifMatch, "if-match", "", "refuse if the state is not the one of that tag (an ETag; see show status)")
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	c.AddCommand(k.showCommand(), k.stateCommand("drain", "Send no new clients to servers", "New clients go to others; persistence still finds the server."),
		k.stateCommand("maint", "Put servers into maintenance", "Nobody is sent there any more; what is in progress ends."),
		k.stateCommand("ready", "Take servers back into use", "It takes back drain and maint, what an agent said last, and `disabled` in the file."),
		k.weightCommand(), k.maxconnCommand(), k.addCommand(), k.removeCommand(), k.shutCommand(), k.clearCommand(),
		k.loadCommand(), k.confirmCommand(), k.rollbackCommand(), k.diffCommand())
	return c
}

// ctl is what all its subcommands have in common.
type ctl struct {
	file, admin, format, ifMatch string
}

func (k *ctl) flags(c *cobra.Command) {
	c.PersistentFlags().StringVar(&k.admin, "admin", "", "the admin endpoint, as in the file; without it the file's, or the default")
	c.PersistentFlags().StringVarP(&k.file, "config", "c", "Lbfile", "the configuration file that names the endpoint")
}

// address gives the endpoint.
func (k *ctl) address() string {
	if k.admin == "" {
		k.admin = addressOf(k.file)
	}
	return k.admin
}

// request is one call of the endpoint.
type request struct {
	method, path string
	query        url.Values
	body         []byte // sent as JSON unless octets
	octets       bool
	also         int // a status that is an answer, too
}

// do calls the endpoint and gives the answer's body. What it refuses is an error,
// with the help and the diagnostics that came with it.
func (k *ctl) do(ctx context.Context, r request) (body []byte, tag string, err error) {
	if ctx == nil {
		ctx = context.Background()
	}
	client, base := adminClient(k.address())
	u := base + r.path
	if len(r.query) > 0 {
		u += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, u, bytes.NewReader(r.body))
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/json")
	if r.octets {
		req.Header.Set("Content-Type", "application/octet-stream")
	}
	if k.ifMatch != "" && r.method != http.MethodGet {
		req.Header.Set("If-Match", k.ifMatch)
	}
	if who := os.Getenv("SUDO_USER"); who != "" {
		req.Header.Set("X-Loadstar-By", who)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, "", unanswered(k.address(), err)
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, "", unanswered(k.address(), err)
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != r.also {
		return nil, "", problem(resp, body)
	}
	return body, resp.Header.Get("ETag"), nil
}

// problem makes an error of a refusal.
func problem(resp *http.Response, body []byte) error {
	var p api.Problem
	if json.Unmarshal(body, &p) != nil || p.Message == "" {
		return &said{fmt.Sprintf("%s: %s", resp.Status, clean(strings.TrimSpace(string(body))))}
	}
	text := p.Error()
	for _, d := range p.Diagnostics {
		if d.Severity == diag.Error && !strings.Contains(text, d.Message) {
			text += "\n" + d.Error()
			for _, h := range d.Help {
				text += "\n  " + h
			}
		}
	}
	return &said{text}
}

// said is an error that the process gave: the input is at fault.
type said struct{ text string }

func (e *said) Error() string { return e.text }

// get reads a JSON answer.
func (k *ctl) get(ctx context.Context, path string, into any) error {
	body, _, err := k.do(ctx, request{method: http.MethodGet, path: path})
	if err != nil {
		return err
	}
	return json.Unmarshal(body, into)
}

// tell calls the endpoint, and shows the answer: as JSON, or in a line.
func tell[T any](k *ctl, c *cobra.Command, r request, line func(*T) string) error {
	body, _, err := k.do(c.Context(), r)
	if err != nil {
		return err
	}
	var v T
	if err := json.Unmarshal(body, &v); err != nil {
		return err
	}
	if k.format == "json" {
		return printJSON(c.OutOrStdout(), v)
	}
	_, err = fmt.Fprintln(c.OutOrStdout(), line(&v))
	return err
}

// wrap gives refusals the exit code of faulty input.
func wrap(run func(c *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		err := run(c, args)
		var s *said
		if errors.As(err, &s) {
			fmt.Fprintf(c.ErrOrStderr(), "loadstar: %v\n", err)
			return exitCode(exitInput)
		}
		return err
	}
}

// table prints rows in columns; the first is the head.
func table(w io.Writer, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, r := range rows {
		for i, cell := range r {
			if cell == "" {
				cell = "-"
			}
			if i > 0 {
				fmt.Fprint(t, "\t")
			}
			fmt.Fprint(t, clean(cell))
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

// clean keeps what clients and files say from moving the cursor.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}

// serverName takes POOL/SERVER apart; the pool's own name may hold slashes.
func serverName(s string) (pool, server string, err error) {
	i := strings.LastIndexByte(s, '/')
	if i <= 0 || i == len(s)-1 {
		return "", "", fmt.Errorf("%q names no server: write POOL/SERVER", s)
	}
	return s[:i], s[i+1:], nil
}

// sourcesOf reads the files that diagnostics point into, as far as they are here.
func sourcesOf(list diag.List) *dsl.Sources {
	sources := &dsl.Sources{}
	for _, d := range list {
		if text, err := os.ReadFile(d.Range.File); err == nil {
			sources.Add(d.Range.File, string(text))
		}
	}
	return sources
}
