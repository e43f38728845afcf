package main_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// statsHash is the hash of statsPassword.
const (
	statsPassword = "hunter2"
	statsHash     = "$2a$04$2bHPMsv.OJptykW3hwFlg.nMBLL9FSZrhGM1scQhMiBNIIrWn5Cz2"
)

func TestMain(m *testing.M) {
	// What the examples take from the environment: "hunter2", in the cheapest way.
	if err := os.Setenv("STATS_PASSWORD_HASH", statsHash); err != nil {
		panic(err)
	}
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
