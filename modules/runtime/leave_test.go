package runtime_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// When a client cuts its stream, a server that says nothing is left at once, before
// its answer or inside it: it does not keep its place until a timeout.
func TestSilentServerIsLeft(t *testing.T) {
	t.Setenv("STATE_DIRECTORY", t.TempDir())
	began, left := make(chan bool, 1), make(chan bool, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			_, _ = io.WriteString(w, "begun")
			w.(http.Flusher).Flush()
		}
		began <- true
		<-r.Context().Done()
		left <- true
	}))
	t.Cleanup(s.Close)
	r := newRuntime(t)
	port := freePort(t)
	text := secure(port, strings.TrimPrefix(s.URL, "http://")+" {\n\t\ttimeout first_byte 1h stall 1h\n\t}")
	if _, found := r.Apply(load(t, text)); found.HasErrors() {
		t.Fatal(found)
	}
	for version, c := range many(t) {
		for _, path := range []string{"/head", "/body"} {
			ctx, cancel := context.WithCancel(t.Context())
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("https://localhost:%d%s", port, path), nil)
			if err != nil {
				t.Fatal(err)
			}
			if path == "/body" {
				res, err := c.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				<-began
				cancel()
				_ = res.Body.Close()
			} else {
				go func() { <-began; cancel() }()
				if res, err := c.Do(req); err == nil {
					_ = res.Body.Close()
					t.Errorf("%s, %s: %s", version, path, res.Status)
				}
			}
			select {
			case <-left:
			case <-time.After(patience):
				t.Fatalf("%s, %s: the server is kept", version, path)
			}
			cancel()
		}
	}
}
