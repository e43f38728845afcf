package http2

import (
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/flow/flowtest"
)

// TestH2Spec has h2spec, a foreign judge of RFC 9113's and RFC 7541's rules, try
// all that it knows, strict cases included. It is pinned by .ci/h2spec.mod.
func TestH2Spec(t *testing.T) {
	if testing.Short() {
		t.Skip("takes ten seconds")
	}
	tool := filepath.Join(t.TempDir(), "h2spec")
	build := exec.Command("go", "build", "-modfile=.ci/h2spec.mod", "-o", tool, "github.com/summerwind/h2spec/cmd/h2spec")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("h2spec cannot be built: %v\n%s", err, out)
	}
	modes(t, func(t *testing.T, secure bool) {
		h := serve(t, secure, flowtest.Func(func(x *flow.Exchange) {
			if _, err := io.Copy(io.Discard, x.Req.Body); err != nil {
				x.Abort(err)
				return
			}
			_ = x.Respond(200, "text/plain", []byte("hello, h2spec"))
		}), testLimits)
		ip, port, err := net.SplitHostPort(h.addr)
		if err != nil {
			t.Fatal(err)
		}
		args := []string{"--strict", "--timeout", "3", "-h", ip, "-p", port}
		if secure {
			args = append(args, "--tls", "--insecure")
		}
		out, err := exec.Command(tool, args...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "146 tests, 146 passed, 0 skipped, 0 failed") {
			_, failures, _ := strings.Cut(string(out), "Failures:")
			t.Errorf("%v\n%s", err, failures)
		}
	})
}
