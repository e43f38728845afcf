package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/api"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

func reloadCommand() *cobra.Command {
	var file, addr string
	c := &cobra.Command{
		Use:   "reload",
		Short: "Ask the running process to read its configuration again",
		Long: "Ask the running process, through its admin endpoint, to read its configuration again. With --config that file is sent " +
			"instead of the one it was started with. If it is refused, the old configuration goes on; the diagnostics are printed.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return reload(c, file, addr)
		},
	}
	c.Flags().StringVarP(&file, "config", "c", "", "send this file instead of having the process read its own again")
	c.Flags().StringVar(&addr, "admin", "", "the admin endpoint, as in the file; without it the file's, or the default")
	return c
}

// reload posts to the admin endpoint and shows the answer.
func reload(c *cobra.Command, file, addr string) error {
	var src []byte
	if file != "" {
		var err error
		if src, err = os.ReadFile(file); err != nil {
			return err
		}
	}
	if addr == "" {
		addr = addressOf(file)
	}
	o, err := postLoad(c.Context(), addr, file, src)
	if err != nil {
		return unanswered(addr, err)
	}
	show(c.ErrOrStderr(), o.Diagnostics, sourcesOf(o.Diagnostics))
	if !o.OK {
		return exitCode(exitInput)
	}
	fmt.Fprintf(c.OutOrStdout(), "generation %d is in force\n", o.Generation)
	return nil
}

// addressOf looks up the endpoint in a configuration: the one given, or the
// Lbfile here. What cannot be read has the default.
func addressOf(file string) string {
	if file == "" {
		file = "Lbfile"
	}
	if cfg, _, found := load(file, nil); !found.HasErrors() && cfg != nil {
		addr, _, _ := adminAddress(cfg)
		return addr
	}
	return "unix/" + defaultSocket()
}

// postLoad sends the order and reads the answer.
func postLoad(ctx context.Context, addr, name string, src []byte) (*api.Loaded, error) {
	if ctx == nil {
		ctx = context.Background()
	}
	client, base := adminClient(addr)
	url := base + "/reload"
	if src != nil {
		url = base + "/load"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(string(src)))
	if err != nil {
		return nil, err
	}
	if src != nil {
		// Imports are relative to the file, wherever the process runs.
		if abs, err := filepath.Abs(name); err == nil {
			name = abs
		}
		q := req.URL.Query()
		q.Set("name", name)
		req.URL.RawQuery = q.Encode()
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	req.Header.Set("Accept", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusUnprocessableEntity {
		return nil, fmt.Errorf("%s: %s", resp.Status, strings.TrimSpace(string(body)))
	}
	var o api.Loaded
	if err := json.Unmarshal(body, &o); err != nil {
		return nil, err
	}
	if o.OK = resp.StatusCode == http.StatusOK; !o.OK && len(o.Diagnostics) == 0 {
		o.Diagnostics = append(o.Diagnostics, diag.Diagnostic{Message: "refused"})
	}
	return &o, nil
}
