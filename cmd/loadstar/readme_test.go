package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// TestReadmeExample: what the README shows of the language is accepted as it stands.
func TestReadmeExample(t *testing.T) {
	b, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(b), "\n```\nhttp://")
	text, _, closed := strings.Cut(rest, "\n```\n")
	if !ok || !closed {
		t.Fatal("the README shows no configuration")
	}
	file := filepath.Join(t.TempDir(), "Lbfile")
	if err := os.WriteFile(file, []byte("http://"+text+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(e2e.Binary(t), "check", "--config", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
