package main_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// TestExplainLive asks the running process which of its servers work.
func TestExplainLive(t *testing.T) {
	o := e2e.NewOrigin(t, nil)
	ports := e2e.Ports(t, 2)
	in := e2e.Run(t, fmt.Sprintf(`http://:%d {
	proxy web
}
pool web {
	health tcp interval 50ms fall 1
	server works 127.0.0.1:%d
	server dead 127.0.0.1:%d
}
`, ports[0], o.Port, ports[1]), ports[0])
	ask := func(args ...string) string {
		args = append([]string{"explain", "-c", in.File, fmt.Sprintf("http://localhost:%d/", ports[0])}, args...)
		out, err := exec.Command(e2e.Binary(t), args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	if out := ask(); strings.Count(out, "50.0 %") != 2 {
		t.Errorf("without asking, both are as good:\n%s", out)
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		out := ask("--live")
		if strings.Contains(out, "100.0 %  works") && strings.Contains(out, "down: its probes fail") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the dead server is not seen:\n%s", out)
		}
	}
}
