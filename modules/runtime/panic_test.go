package runtime_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/dsl"
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/logging"
	"github.com/loadstar-lb/loadstar/modules"
	"github.com/loadstar-lb/loadstar/modules/handler"
	"github.com/loadstar-lb/loadstar/modules/runtime"
)

// hooked adds a hook to each answer that panics where the request asks for it.
var hooked = handler.Module{
	Spec: spec.Word{Name: "hooked", In: spec.InHTTPSite, Doc: "For this test"},
	New:  func(*config.Node, *handler.Env) (flow.Handler, error) { return hook{}, nil },
}

type hook struct{}

func (hook) Handle(x *flow.Exchange) (bool, error) { x.AddHook(hook{}); return false, nil }

func (hook) OnResponse(x *flow.Exchange) {
	if bytes.HasPrefix(x.Req.Path, []byte("/hook")) {
		panic("in a hook")
	}
}

// fragile is a sink that panics over some requests.
type fragile struct{ logging.Sink }

func (fragile) Record(_ logging.Level, _ logging.Format, r *flow.Record) {
	if bytes.HasPrefix(r.URI, []byte("/logger")) {
		panic("in a logger")
	}
}

// kept is what was logged.
type kept struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (k *kept) Write(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.buf.Write(p)
}

func (k *kept) String() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.buf.String()
}

// A panic ends one exchange: its slots, the server's and the site's, are free for
// the next one, and it is logged.
func TestPanicReleases(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/hook-tunnel" {
			_, _ = io.WriteString(w, "ok")
			return
		}
		c, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
			_ = c.Close()
		}
	}))
	defer origin.Close()
	set := modules.Standard()
	set.Handlers = append(set.Handlers, hooked)
	for i := range set.Logging.Sinks {
		m := &set.Logging.Sinks[i]
		open := m.Open
		m.Open = func(k logging.Key) (logging.Sink, error) {
			s, err := open(k)
			return fragile{s}, err
		}
	}
	log := &kept{}
	r := runtime.New(set, slog.New(slog.NewTextHandler(log, nil)))
	defer stop(r, time.Second)
	port := freePort(t)
	cfg, _, errs := dsl.Load("Lbfile", []byte(fmt.Sprintf(`http://:%d {
	bind 127.0.0.1
	maxconn 1
	log file %s
	hooked
	proxy web
}
pool web {
	server one %s maxconn 1
}
`, port, filepath.Join(t.TempDir(), "log"), strings.TrimPrefix(origin.URL, "http://"))), dsl.Options{Vocabulary: set.Vocabulary()})
	if errs.HasErrors() {
		t.Fatal(errs)
	}
	if _, errs := r.Apply(cfg); errs.HasErrors() {
		t.Fatal(errs)
	}
	ask := func(path string) int {
		t.Helper()
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(30 * time.Second))
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n", path)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		return res.StatusCode
	}
	for i, path := range []string{"/hook", "/logger", "/hook-tunnel", "/hook"} {
		want := 500
		if path == "/logger" { // it panics once the answer has left
			want = 200
		}
		if got := ask(path); got != want {
			t.Errorf("%s: status %d, want %d", path, got, want)
		}
		// The one slot of the one server, and the one place of the site.
		if got := ask("/fine"); got != 200 {
			t.Fatalf("after %s: status %d: a slot was kept", path, got)
		}
		for end := time.Now().Add(30 * time.Second); strings.Count(log.String(), "panic while serving") != i+1; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("after %s: it was not logged:\n%s", path, log)
			}
		}
	}
}
