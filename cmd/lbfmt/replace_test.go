package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestReplaceKeepsOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may give files away")
	}
	name := filepath.Join(t.TempDir(), "Lbfile")
	if err := os.WriteFile(name, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(name, 1234, 2345); err != nil {
		t.Skip(err)
	}
	if err := os.Chmod(name, 0o2664); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := replace(name, []byte("new")); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	s := after.Sys().(*syscall.Stat_t)
	if after.Mode() != before.Mode() || s.Uid != 1234 || s.Gid != 2345 {
		t.Errorf("mode %v, owner %d:%d", after.Mode(), s.Uid, s.Gid)
	}
	if text, err := os.ReadFile(name); err != nil || string(text) != "new" {
		t.Errorf("content %q, %v", text, err)
	}
}

func TestReplaceLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "Lbfile")
	if err := os.Mkdir(name, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := replace(name, []byte("new")); err == nil {
		t.Error("a directory was replaced")
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 1 {
		t.Errorf("left %v, %v", list, err)
	}
}
