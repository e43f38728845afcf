package main_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// A configuration that is refused at the last moment, for its port is taken, does not
// take the changes made at run time to its own state directory.
func TestRefusedKeepsState(t *testing.T) {
	port := e2e.Ports(t, 1)[0]
	taken, err := net.Listen("tcp", rig.Addr(0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	dir := t.TempDir()
	config := func(d, state string, port any) string {
		return fmt.Sprintf("{\n\tadmin unix/%s/admin.sock\n\tstate %s/%s\n}\nhttp://:%v {\n\tbind 127.0.0.1\n\tproxy web\n}\n"+
			"pool web {\n\tserver one 127.0.0.1:1\n\tserver two 127.0.0.1:2\n}\n", d, dir, state, port)
	}
	d := e2e.RunDaemon(t, config("{dir}", "a", port), port)
	if out, good := ordered(t, d, "ctl", "drain", "web/one"); !good {
		t.Fatal(out)
	}
	other := filepath.Join(t.TempDir(), "other.lb")
	if err := os.WriteFile(other, []byte(config(d.Dir, "b", taken.Addr().(*net.TCPAddr).Port)), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, good := ordered(t, d, "ctl", "load", other); good || !strings.Contains(out, "cannot-listen") {
		t.Fatalf("loaded: %s", out)
	}
	if out, good := ordered(t, d, "ctl", "weight", "web/two", "7"); !good {
		t.Fatal(out)
	}
	kept, err := os.ReadFile(filepath.Join(dir, "a", "overlay.json"))
	if err != nil || !strings.Contains(string(kept), `"drain"`) || !strings.Contains(string(kept), `"weight"`) {
		t.Errorf("%v\n%s", err, kept)
	}
	if _, err := os.Stat(filepath.Join(dir, "b")); err == nil {
		t.Error("the directory of a refused configuration is in use")
	}
}
