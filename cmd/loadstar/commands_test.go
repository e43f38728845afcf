package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// TestCommands runs the commands that only look at a configuration.
func TestCommands(t *testing.T) {
	binary := e2e.Binary(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		UpdateScripts:       os.Getenv("UPDATE") != "",
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", filepath.Dir(binary)+string(os.PathListSeparator)+e.Getenv("PATH"))
			e.Setenv("GORACE", e2e.GoRace())
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"code": code, "eventually": eventually},
	})
}

// code runs a command and wants an exit code: code N COMMAND [ARG…].
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND [ARG…]")
	}
	got := "exit status 0"
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		got = err.Error()
	}
	if got != "exit status "+args[0] {
		ts.Fatalf("%s, want %s", got, args[0])
	}
}

// eventually runs a command until it ends well and prints what is wanted:
// eventually TEXT COMMAND [ARG…].
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: eventually TEXT COMMAND [ARG…]")
	}
	var err error
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err = ts.Exec(args[1], args[2:]...); err == nil && strings.Contains(ts.ReadFile("stdout"), args[0]) {
			return
		}
	}
	ts.Fatalf("it never printed %q (%v)", args[0], err)
}

// TestExamplesTestThemselves runs the `test` blocks of the examples.
func TestExamplesTestThemselves(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("../../caddyfile-examples/*.lb")
	if err != nil || len(names) == 0 {
		t.Fatal("no examples", err)
	}
	for _, name := range names {
		if out, err := exec.Command(e2e.Binary(t), "test", "--config", name).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
