package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// adminClient gives a client of the endpoint at an address, and the URL that its
// paths are behind.
func adminClient(addr string) (c *http.Client, base string) {
	network, target, host := "tcp", addr, addr
	if path, ok := strings.CutPrefix(addr, "unix/"); ok {
		network, target, host = "unix", path, "loadstar"
	}
	return &http.Client{
		Timeout: 2 * time.Minute,
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, target)
		}},
	}, "http://" + host
}

// unanswered tells why an endpoint gave no answer.
func unanswered(addr string, err error) error {
	var asked *url.Error
	if errors.As(err, &asked) {
		err = asked.Err // what was asked for is no news to who asked
	}
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("the admin endpoint at %s: %w: no process runs with this configuration", addr, err)
	}
	return fmt.Errorf("the admin endpoint at %s: %w", addr, err)
}

// maxAnswer bounds what is read of the endpoint's answers.
const maxAnswer = 64 << 20

// getAdmin reads a JSON answer of the endpoint.
func getAdmin(ctx context.Context, addr, path string, into any) error {
	if ctx == nil {
		ctx = context.Background()
	}
	client, base := adminClient(addr)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+path, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", resp.Status, strings.TrimSpace(string(body)))
	}
	return json.Unmarshal(body, into)
}
