package main_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

func TestMain(m *testing.M) {
	code := m.Run()
	e2e.Remove()
	os.Exit(code)
}

// plain is a site that forwards everything to one origin.
func plain(port, origin int) string {
	return fmt.Sprintf("http://:%d {\n\tlog off\n\tproxy web\n}\n\npool web {\n\tserver one 127.0.0.1:%d\n}\n", port, origin)
}

// front starts an origin with a proxy before it.
func front(t *testing.T) (port int, o *e2e.Origin) {
	t.Helper()
	o = e2e.NewOrigin(t, nil)
	port = e2e.Ports(t, 1)[0]
	e2e.Run(t, plain(port, o.Port), port)
	return port, o
}
