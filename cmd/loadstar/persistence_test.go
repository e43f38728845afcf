package main_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// named starts servers that answer with their names.
func named(t *testing.T, names ...string) (ports []any) {
	t.Helper()
	for _, n := range names {
		o := e2e.NewOrigin(t, func(c net.Conn, _ *e2e.Message) bool {
			_, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"+n)
			return err == nil
		})
		ports = append(ports, o.Port)
	}
	return ports
}

func askFor(t *testing.T, port int, fields string) string {
	t.Helper()
	c := e2e.Dial(t, port)
	defer c.Close()
	c.Send("GET / HTTP/1.1\r\nHost: h\r\n" + fields + "Connection: close\r\n\r\n")
	return c.Answer("GET").Body
}

// A table keeps clients where they were, over a reload, too; those whose server
// went from the configuration are balanced anew, and stay where they then are.
func TestTablesOutliveReloads(t *testing.T) {
	servers := named(t, "a", "b", "c")
	port := e2e.Ports(t, 1)[0]
	config := func(size int, lines string) string {
		return fmt.Sprintf("http://:%d {\n\tlog off\n\tproxy farm\n}\ntable ids {\n\ttype string\n\tsize %d\n}\npool farm {\n\tpersist table ids key {http.header.X-Id}\n%s}\n", port, size, lines)
	}
	three := fmt.Sprintf("\tserver a 127.0.0.1:%d\n\tserver b 127.0.0.1:%d\n\tserver c 127.0.0.1:%d\n", servers...)
	two := fmt.Sprintf("\tserver c 127.0.0.1:%d\n\tserver a 127.0.0.1:%d\n", servers[2], servers[0])
	in := e2e.Run(t, config(1000, three), port)
	round := func() string {
		out := ""
		for id := range 9 {
			out += askFor(t, port, fmt.Sprintf("X-Id: %d\r\n", id))
		}
		return out
	}
	first := round()
	if strings.Count(first, "a") != 3 || strings.Count(first, "b") != 3 || round() != first {
		t.Fatalf("%s, then %s", first, round())
	}
	in.Write(e2e.Options(in.Dir) + config(2000, two))
	in.Reload()
	// The new configuration is in force when nobody is sent to b any more.
	if !rig.Until(e2e.Patience, func() bool { return askFor(t, port, "X-Id: probe\r\n") != "" && !strings.Contains(round(), "b") }) {
		t.Fatal("the reload does not take effect")
	}
	second := round()
	for i := range second {
		if first[i] != 'b' && second[i] != first[i] {
			t.Errorf("client %d went from %c to %c", i, first[i], second[i])
		}
	}
	if third := round(); third != second {
		t.Errorf("%s, then %s", second, third)
	}
}

// Streams are kept by address.
func TestStreamsAreKept(t *testing.T) {
	servers := named(t, "a", "b")
	port := e2e.Ports(t, 1)[0]
	e2e.Run(t, fmt.Sprintf("tcp://:%d {\n\tlog off\n\tproxy farm\n}\npool farm {\n\tpersist source\n\tserver a 127.0.0.1:%d\n\tserver b 127.0.0.1:%d\n}\n",
		append([]any{port}, servers...)...), port)
	// Run has looked whether somebody answers: a stream of its own, which may be
	// bound to its server after the first one of ours was balanced.
	kept := func() bool {
		first := askFor(t, port, "")
		for range 6 {
			if got := askFor(t, port, ""); got != first || got == "" {
				return false
			}
		}
		return true
	}
	ok := kept()
	for n := 0; n < 2 && !ok; n++ {
		ok = kept()
	}
	if !ok {
		t.Error("streams of one client go to different servers")
	}
}

// Persistence that cannot work is refused or doubted, with its place.
func TestPersistenceDiagnostics(t *testing.T) {
	const farm = "pool farm {\n%s\n\tserver a 127.0.0.1:1%s\n}\n"
	for _, c := range []struct{ site, persist, server, want string }{
		{"tcp://:8080", "\tpersist cookie SRV insert", " cookie A", "2:2: error: pool farm keeps its clients by a cookie, which is of HTTP requests; this site is tcp  [cookie-persistence-in-tcp]"},
		{"tcp://:8080", "\tpersist header X-Id", "", "2:2: error: pool farm keeps its clients by the header field X-Id"},
		{"http://:8080", "\tpersist table ids", "", `5:16: error: there is no table "ids"  [undefined-name]`},
		{"http://:8080", "\tpersist cookie SRV insert", "", "6:2: warning: server a has no cookie value"},
		{"http://:8080", "\tbalance roundrobin", " cookie A", "6:2: warning: server a has a cookie value, but its pool has no `persist cookie`"},
		{"http://:8080", "\tpersist cookie SRV insert\n\tserver b 127.0.0.1:2 cookie A", " cookie A", "7:2: warning: server a has the same cookie value"},
		{"http://:8080", "\tpersist cookie SRV insert\n\tserver a 127.0.0.1:2 cookie A", " cookie A", "7:9: error: two servers of this pool are called"},
		{"http://:8080", "\tpersist cookie SRV inset", " cookie A", `5:21: error: unknown option "inset" of persist`},
		{"http://:8080", "\tretry 3 on refussed", "", `5:13: error: "refussed" is nothing to retry on`},
	} {
		file := filepath.Join(t.TempDir(), "Lbfile")
		text := c.site + " {\n\tproxy farm\n}\n" + fmt.Sprintf(farm, c.persist, c.server)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(e2e.Binary(t), "check", "--config", file).CombinedOutput()
		if refused := err != nil; refused != strings.Contains(c.want, "error:") || !strings.Contains(string(out), "Lbfile:"+c.want) {
			t.Errorf("%s\nsaid (refused %v):\n%s\nwant %s", text, refused, out, c.want)
		}
	}
}
