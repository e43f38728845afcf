package main_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// The oracle: HAProxy and Loadstar run side by side in front of the same
// servers, with configurations that mean the same, and get the same requests.
// What they answer, pass on and log is compared.

// setup is one pool in both languages. In both texts {a}, {b} and {c} stand for
// the ports of the three servers, {shut} for a port where nobody listens, and
// {deaf} for one that takes no connection.
type setup struct {
	name    string
	haproxy string // of a `listen` section
	ours    string // of a `pool`
}

// duel is a running pair.
type duel struct {
	haproxy *rig.Process
	ours    *e2e.Instance
	ports   map[string][2]int // by setup: HAProxy's, ours
	origins [3]*e2e.Origin
	seen    int // requests so far, for paths that are nobody else's
	same    int
	rows    int
}

// sides name the two, in the order of duel.ports.
var sides = [2]string{"HAProxy", "Loadstar"}

func haproxyPath(t *testing.T) string {
	t.Helper()
	if bin, err := exec.LookPath("haproxy"); err == nil {
		return bin
	}
	const debian = "/usr/sbin/haproxy"
	if _, err := os.Stat(debian); err != nil {
		t.Skip("SKIPPED: no haproxy to compare with; apt-get install haproxy")
	}
	return debian
}

func startDuel(t *testing.T, setups []setup, answer func(server string) func(net.Conn, *e2e.Message) bool) *duel {
	t.Helper()
	bin := haproxyPath(t)
	d := &duel{ports: map[string][2]int{}}
	ports := e2e.Ports(t, 2*len(setups)+1)
	words := []string{"{shut}", fmt.Sprint(ports[2*len(setups)]), "{deaf}", fmt.Sprint(deafPort(t))}
	for i, name := range []string{"a", "b", "c"} {
		d.origins[i] = e2e.NewOrigin(t, answer(name))
		words = append(words, "{"+name+"}", fmt.Sprint(d.origins[i].Port))
	}
	fill := strings.NewReplacer(words...)
	hap := "global\n log stdout format raw local0\ndefaults\n mode http\n log global\n option httplog\n option dontlognull\n" +
		" timeout client 20s\n timeout server 10s\n timeout connect 5s\n timeout queue 10s\n retries 0\n"
	var ours strings.Builder
	for i, s := range setups {
		d.ports[s.name] = [2]int{ports[2*i], ports[2*i+1]}
		hap += fmt.Sprintf("listen %s\n bind 127.0.0.1:%d\n%s\n", s.name, ports[2*i], fill.Replace(s.haproxy))
		fmt.Fprintf(&ours, "http://:%d {\n\tbind 127.0.0.1\n\tlog stdout format httplog\n\tproxy %s\n}\npool %s {\n%s\n}\n",
			ports[2*i+1], s.name, s.name, fill.Replace(s.ours))
	}
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(file, []byte(hap), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	if d.haproxy, err = rig.Start(exec.Command(bin, "-db", "-f", file)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = d.haproxy.Stop(time.Second)
		if t.Failed() {
			t.Logf("HAProxy printed:\n%s", d.haproxy.Output())
		}
	})
	if err := d.haproxy.Answers(10*time.Second, rig.Addr(ports[0])); err != nil {
		t.Fatal(err)
	}
	d.ours = e2e.Run(t, ours.String(), ports[1])
	return d
}

// path gives a path that no request had before; it leads to the log line.
func (d *duel) path() string {
	d.seen++
	return fmt.Sprintf("/r%d-", d.seen)
}

// logged is what a log line says, both products' alike.
type logged struct {
	Server, Status, Flags, Retries string
}

var logLine = regexp.MustCompile(` \S+/(\S+) [-+\d/]+ (-?\d+) \d+ \S+ \S+ (\S{4}) [\d/]+/(\+?\d+) \d+/\d+ "(.*)"`)

// logs waits for the log lines of all requests whose paths begin with /r, and
// gives them by path; last is one of those that came last.
func (d *duel) logs(t *testing.T, side int, last string) map[string]logged {
	t.Helper()
	d.line(t, side, last)
	out := map[string]logged{}
	for line := range strings.Lines([2]func() string{d.haproxy.Output, d.ours.Output}[side]()) {
		if m := logLine.FindStringSubmatch(line); m != nil {
			if f := strings.Fields(m[5]); len(f) > 1 {
				out[f[1]] = logged{m[1], m[2], m[3], m[4]}
			}
		}
	}
	return out
}

// line waits for the log line of a request, by what it begins with.
func (d *duel) line(t *testing.T, side int, request string) logged {
	t.Helper()
	output := d.haproxy.Output
	if side == 1 {
		output = d.ours.Output
	}
	var found logged
	ok := rig.Until(e2e.Patience, func() bool {
		for line := range strings.Lines(output()) {
			if m := logLine.FindStringSubmatch(line); m != nil && strings.HasPrefix(m[5], request) {
				found = logged{m[1], m[2], m[3], m[4]}
				return true
			}
		}
		return false
	})
	if !ok {
		t.Fatalf("%s logged nothing of %s:\n%s", sides[side], request, output())
	}
	return found
}

// compare counts one comparison. known is why a difference is wanted, "" if
// none is.
func (d *duel) compare(t *testing.T, what string, got [2]string, known string) {
	t.Helper()
	d.rows++
	switch {
	case got[0] == got[1] && known == "":
		d.same++
	case got[0] == got[1]:
		t.Errorf("%s: no difference any more (%s): %s", what, known, got[0])
	case known == "":
		t.Errorf("%s:\n HAProxy  %s\n Loadstar %s", what, got[0], got[1])
	default:
		t.Logf("deliberate: %s: %s, HAProxy %s: %s", what, got[1], got[0], known)
	}
}

func (d *duel) tally(t *testing.T) { t.Logf("%d of %d comparisons agree", d.same, d.rows) }

// warmUp waits until a server that is probed is known to be down on both sides:
// requests whose cookie names it then go elsewhere.
func (d *duel) warmUp(t *testing.T, name, cookie string) {
	t.Helper()
	for side := range sides {
		down := rig.Until(e2e.Patience, func() bool {
			c := e2e.Dial(t, d.ports[name][side])
			defer c.Close()
			path := d.path()
			c.Send("GET " + path + " HTTP/1.1\r\nHost: h\r\nCookie: " + cookie + "\r\nConnection: close\r\n\r\n")
			c.Answer("GET")
			return d.line(t, side, "GET "+path).Flags[2] == 'D'
		})
		if !down {
			t.Fatalf("%s does not find the server of %s down", sides[side], cookie)
		}
	}
}
