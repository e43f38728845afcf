package main

import (
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

// adminAddress gives where a configuration wants the endpoint.
func adminAddress(cfg *config.Config) (addr string, explicit bool, at diag.Range) {
	if n := config.Last(cfg.Process, "admin"); n != nil {
		return n.Text(0), true, n.Range
	}
	return "unix/" + defaultSocket(), false, diag.Range{}
}

// defaultSocket is in /run/loadstar for root (and under systemd's
// RuntimeDirectory), in the user's own runtime directory for others.
func defaultSocket() string {
	for _, dir := range []string{os.Getenv("RUNTIME_DIRECTORY"), "/run/loadstar", os.Getenv("XDG_RUNTIME_DIR")} {
		if dir == "" {
			continue
		}
		if err := os.MkdirAll(dir, 0o755); err == nil && writable(dir) {
			return filepath.Join(dir, "admin.sock")
		}
	}
	dir := filepath.Join(os.TempDir(), "loadstar-"+strconv.Itoa(os.Getuid()))
	_ = os.MkdirAll(dir, 0o700)
	return filepath.Join(dir, "admin.sock")
}

func writable(dir string) bool { return unix.Access(dir, unix.W_OK) == nil }
