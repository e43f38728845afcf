package graph_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/dsl"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/modules"
	"github.com/loadstar-lb/loadstar/modules/certs"
	"github.com/loadstar-lb/loadstar/modules/graph"
	"github.com/loadstar-lb/loadstar/modules/live"
)

// buildIn loads a text as a file of a directory and builds its graph as `check` does.
func buildIn(t *testing.T, dir, text string) (*graph.Graph, diag.List) {
	t.Helper()
	set := modules.Standard()
	cfg, _, found := dsl.Load(filepath.Join(dir, "Lbfile"), []byte(text), dsl.Options{Vocabulary: set.Vocabulary()})
	if found.HasErrors() {
		return nil, found
	}
	tx := live.Begin()
	t.Cleanup(tx.Rollback)
	g, more := graph.Build(cfg, graph.Deps{Set: set, Shared: graph.NewShared(), Tx: tx, Dry: true, Log: slog.New(slog.DiscardHandler)})
	if g != nil {
		t.Cleanup(g.Close)
	}
	return g, append(found, more...)
}

// withCertificate gives a directory that holds a certificate and its key, root.crt and
// root.key.
func withCertificate(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if _, err := certs.OpenAuthority(dir, false); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"root.crt", "root.key"} {
		if err := os.Rename(filepath.Join(dir, "internal", f), filepath.Join(dir, f)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// wrong is a configuration, the rule that it breaks, and where; no rule: none.
type wrong struct{ text, at, rule string }

// diagnosed wants each case to be found out, and nothing else, by a check that writes
// nothing.
func diagnosed(t *testing.T, dir string, cases map[string]wrong) {
	t.Helper()
	state := t.TempDir()
	t.Setenv("STATE_DIRECTORY", state)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, found := buildIn(t, dir, c.text)
			if c.rule == "" {
				if len(found) > 0 {
					t.Errorf("%v", found)
				}
				return
			}
			if len(found) != 1 || found[0].Rule != c.rule || !strings.HasSuffix(found[0].Range.String(), "Lbfile:"+c.at) {
				t.Errorf("%v, want %s at %s", found, c.rule, c.at)
			}
		})
	}
	if made, err := os.ReadDir(state); err != nil || len(made) > 0 {
		t.Errorf("a check has written to the state directory: %v %v", made, err)
	}
}
