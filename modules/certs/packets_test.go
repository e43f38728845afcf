package certs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The secret is made once, kept over restarts, and never written over.
func TestPacketSecrets(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	var first, second PacketSecrets
	a, err := first.Of(dir)
	if err != nil || a == [64]byte{} {
		t.Fatal(a, err)
	}
	if b, err := second.Of(dir); err != nil || b != a {
		t.Errorf("another process: %v", err)
	}
	info, err := os.Stat(filepath.Join(dir, "quic.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	if names, _ := os.ReadDir(dir); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
	if err := os.WriteFile(filepath.Join(dir, "quic.key"), []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	var third PacketSecrets
	b, err := third.Of(dir)
	if err == nil || !strings.Contains(err.Error(), "5 bytes") || b == a {
		t.Errorf("%v", err)
	}
	if c, err := third.Of(dir); err != nil || c != b {
		t.Errorf("the process's own secret is not kept: %v", err)
	}
	if text, _ := os.ReadFile(filepath.Join(dir, "quic.key")); string(text) != "short" {
		t.Error("it was written over")
	}
}
