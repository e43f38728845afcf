package main_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// misbehave does what the request's X-Do says, or the X-Do-NAME of this server
// alone.
func misbehave(server string) func(net.Conn, *e2e.Message) bool {
	return func(c net.Conn, m *e2e.Message) bool {
		do := m.Header.Get("X-Do-" + server)
		if do == "" {
			do = m.Header.Get("X-Do")
		}
		text := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Server: " + server + "\r\n\r\nok"
		switch do {
		case "empty":
			return false
		case "junk":
			text = "this is no answer\r\n\r\n"
		case "half":
			text = "HTTP/1.1 200 OK\r\nContent-Le"
		case "short":
			text = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nnot all"
		case "lengths":
			text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"
		case "silent", "stall":
			if do == "stall" {
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nnot all")
			}
			_, _ = c.Read(make([]byte, 1)) // until the proxy gives up
			return false
		case "503", "500", "404":
			text = "HTTP/1.1 " + do + " No\r\nContent-Length: 2\r\nX-Server: " + server + "\r\n\r\nno"
		}
		_, err := io.WriteString(c, text)
		return err == nil && (do == "" || len(do) == 3)
	}
}

const (
	// HAProxy has its last retry elsewhere, after a second for each before it; one
	// retry makes the two alike. See the deliberate rows for more.
	bothServers = `
 server a 127.0.0.1:{a} cookie A
 server b 127.0.0.1:{b} cookie B`
	bothServersOurs = `
	server a 127.0.0.1:{a} cookie A
	server b 127.0.0.1:{b} cookie B`
)

func failureSetups() []setup {
	return []setup{
		{"one", " timeout server 300ms\n server a 127.0.0.1:{a}", "\ttimeout first_byte 300ms stall 300ms\n\tretry 0\n\tserver a 127.0.0.1:{a}"},
		{"shut", " server a 127.0.0.1:{shut}", "\tretry 0\n\tserver a 127.0.0.1:{shut}"},
		{"deaf", " timeout connect 300ms\n server a 127.0.0.1:{deaf}", "\ttimeout connect 300ms\n\tretry 0\n\tserver a 127.0.0.1:{deaf}"},
		{"deafretry", " timeout connect 100ms\n retries 2\n server a 127.0.0.1:{deaf}", "\ttimeout connect 100ms\n\tretry 2\n\tserver a 127.0.0.1:{deaf}"},
		{"off", " server a 127.0.0.1:{a} disabled", "\tserver a 127.0.0.1:{a} disabled"},
		{"offcookie", " cookie SRV insert\n server a 127.0.0.1:{a} cookie A disabled", "\tpersist cookie SRV insert\n\tserver a 127.0.0.1:{a} cookie A disabled"},
		{"full", " timeout queue 300ms\n timeout server 3s\n server a 127.0.0.1:{a} maxconn 1", "\tqueue timeout 300ms\n\ttimeout first_byte 3s\n\tserver a 127.0.0.1:{a} maxconn 1"},
		{"left", " option abortonclose\n timeout server 3s\n server a 127.0.0.1:{a} maxconn 1", "\tqueue timeout 10s\n\ttimeout first_byte 3s\n\tserver a 127.0.0.1:{a} maxconn 1"},
		{"stay", " cookie SRV insert\n retries 1\n server a 127.0.0.1:{shut} cookie A\n server b 127.0.0.1:{b} cookie B",
			"\tpersist cookie SRV insert\n\tretry 1 redispatch off\n\tserver a 127.0.0.1:{shut} cookie A\n\tserver b 127.0.0.1:{b} cookie B"},
		{"move", " cookie SRV insert\n retries 1\n option redispatch\n server a 127.0.0.1:{shut} cookie A\n server b 127.0.0.1:{b} cookie B",
			"\tpersist cookie SRV insert\n\tretry 1\n\tserver a 127.0.0.1:{shut} cookie A\n\tserver b 127.0.0.1:{b} cookie B"},
		{"move3", " cookie SRV insert\n timeout connect 100ms\n retries 3\n option redispatch\n server a 127.0.0.1:{shut} cookie A\n server b 127.0.0.1:{b} cookie B",
			"\tpersist cookie SRV insert\n\ttimeout connect 100ms\n\tserver a 127.0.0.1:{shut} cookie A\n\tserver b 127.0.0.1:{b} cookie B"},
		{"known", " cookie SRV insert\n server a 127.0.0.1:{shut} cookie A check inter 100ms fall 1\n server b 127.0.0.1:{b} cookie B",
			"\tpersist cookie SRV insert\n\tretry 0 redispatch off\n\thealth tcp interval 100ms\n\tserver a 127.0.0.1:{shut} cookie A\n\tserver b 127.0.0.1:{b} cookie B health off"},
		{"knownmove", " cookie SRV insert\n option redispatch\n server a 127.0.0.1:{shut} cookie A check inter 100ms fall 1\n server b 127.0.0.1:{b} cookie B",
			"\tpersist cookie SRV insert\n\tretry 0\n\thealth tcp interval 100ms\n\tserver a 127.0.0.1:{shut} cookie A\n\tserver b 127.0.0.1:{b} cookie B health off"},
		{"again", " cookie SRV insert\n timeout server 300ms\n retries 1\n option redispatch\n retry-on conn-failure empty-response response-timeout 503" + bothServers,
			"\tpersist cookie SRV insert\n\ttimeout first_byte 300ms stall 300ms\n\tretry 1 on connect_failure empty_response timeout 503" + bothServersOurs},
		{"plain", " cookie SRV insert\n timeout server 300ms\n retries 1\n option redispatch" + bothServers,
			"\tpersist cookie SRV insert\n\ttimeout first_byte 300ms stall 300ms\n\tretry 1" + bothServersOurs},
		{"none", " cookie SRV insert\n timeout server 300ms" + bothServers,
			"\tpersist cookie SRV insert\n\ttimeout first_byte 300ms stall 300ms\n\tretry 1 on connect_failure" + bothServersOurs},
	}
}

// What is deliberate, and why.
const (
	safeOnce = "a safe request that broke before its answer is tried once elsewhere, without being told to"
	atOnce   = "a retry goes to another server at once, when there is one, rather than as the last resort"
)

func TestOracleFailures(t *testing.T) {
	t.Parallel()
	d := startDuel(t, failureSetups(), misbehave)
	d.warmUp(t, "known", "SRV=A")
	d.warmUp(t, "knownmove", "SRV=A")
	for _, r := range []struct{ setup, method, fields, known string }{
		{"one", "GET", "", ""},
		{"one", "GET", "X-Do: empty", ""},
		{"one", "POST", "X-Do: empty", ""},
		{"one", "GET", "X-Do: junk", ""},
		{"one", "GET", "X-Do: half", ""},
		{"one", "GET", "X-Do: short", ""},
		{"one", "GET", "X-Do: lengths", ""},
		{"one", "GET", "X-Do: silent", ""},
		{"one", "GET", "X-Do: stall", ""},
		{"one", "GET", "X-Do: 503", ""},
		{"shut", "GET", "", ""},
		{"shut", "POST", "", ""},
		{"deaf", "GET", "", ""},
		{"deafretry", "GET", "", ""},
		{"off", "GET", "", ""},
		{"offcookie", "GET", "Cookie: SRV=A", ""},
		{"offcookie", "GET", "", ""},
		{"stay", "GET", "Cookie: SRV=A", ""},
		{"stay", "POST", "Cookie: SRV=A", ""},
		{"stay", "GET", "Cookie: SRV=B", ""},
		{"move", "GET", "Cookie: SRV=A", ""},
		{"move", "POST", "Cookie: SRV=A", ""},
		{"move3", "GET", "Cookie: SRV=A", atOnce},
		{"known", "GET", "Cookie: SRV=A", ""},
		{"known", "POST", "Cookie: SRV=A", ""},
		{"knownmove", "GET", "Cookie: SRV=A", ""},
		{"again", "GET", "Cookie: SRV=A#X-Do-a: 503", ""},
		{"again", "GET", "Cookie: SRV=A#X-Do: 503", ""},
		{"again", "GET", "Cookie: SRV=A#X-Do-a: 500", ""},
		{"again", "GET", "Cookie: SRV=A#X-Do-a: empty", ""},
		{"again", "GET", "Cookie: SRV=A#X-Do: empty", ""},
		{"again", "GET", "Cookie: SRV=A#X-Do-a: silent", ""},
		{"again", "GET", "Cookie: SRV=A#X-Do-a: junk", ""},
		{"again", "PUT", "Cookie: SRV=A#X-Do-a: 503", ""},
		{"plain", "GET", "Cookie: SRV=A#X-Do-a: 503", ""},
		{"plain", "GET", "Cookie: SRV=A#X-Do-a: silent", ""},
		{"plain", "GET", "Cookie: SRV=A#X-Do-a: junk", ""},
		{"plain", "POST", "Cookie: SRV=A#X-Do-a: empty", ""},
		{"plain", "GET", "Cookie: SRV=A#X-Do-a: empty", safeOnce},
		{"plain", "GET", "Cookie: SRV=A#X-Do-a: half", safeOnce},
		{"none", "GET", "Cookie: SRV=A#X-Do-a: empty", ""},
		{"none", "GET", "Cookie: SRV=A#X-Do-a: half", ""},
	} {
		var got [2]string
		path := d.path()
		for side := range sides {
			got[side] = d.fail(t, side, r.setup, r.method+" "+path, r.fields)
		}
		d.compare(t, fmt.Sprintf("%s, %s %q", r.setup, r.method, r.fields), got, r.known)
	}
	d.full(t)
	d.left(t)
	d.malformed(t)
	d.tally(t)
}

// fail sends one request, and tells the status, the server that answered, and
// the log line.
func (d *duel) fail(t *testing.T, side int, name, request, fields string) string {
	t.Helper()
	c := e2e.Dial(t, d.ports[name][side])
	defer c.Close()
	text := request + " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
	if !strings.HasPrefix(request, "GET") {
		text += "Content-Length: 2\r\n"
	}
	for f := range strings.SplitSeq(fields, "#") {
		if f != "" {
			text += f + "\r\n"
		}
	}
	text += "\r\n"
	if !strings.HasPrefix(request, "GET") {
		text += "hi"
	}
	c.Send(text)
	a := c.Answer("GET")
	l := d.line(t, side, request)
	return fmt.Sprintf("%d complete %v from %q cookie %q, log %+v", a.Status, a.Complete, a.Header.Get("X-Server"), a.Header["Set-Cookie"], l)
}

// hold has a request occupy the only slot, and gives what ends it.
func (d *duel) hold(t *testing.T, side int, name string) (end func()) {
	t.Helper()
	for _, o := range d.origins {
		o.Take()
	}
	c := e2e.Dial(t, d.ports[name][side])
	c.Send("GET " + d.path() + " HTTP/1.1\r\nHost: h\r\nX-Do: silent\r\n\r\n")
	if !rig.Until(e2e.Patience, func() bool { m, _ := d.origins[0].Take(); return len(m) > 0 }) {
		t.Fatal("the request that occupies the slot did not arrive")
	}
	return c.Close
}

// full compares who waits for too long.
func (d *duel) full(t *testing.T) {
	t.Helper()
	var got [2]string
	path := d.path()
	for side := range sides {
		end := d.hold(t, side, "full")
		got[side] = d.fail(t, side, "full", "GET "+path, "")
		end()
	}
	d.compare(t, "queue timeout", got, "")
}

// left compares who leaves while waiting.
func (d *duel) left(t *testing.T) {
	t.Helper()
	var got [2]string
	path := d.path()
	for side := range sides {
		end := d.hold(t, side, "left")
		c := e2e.Dial(t, d.ports["left"][side])
		c.Send("GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n")
		time.Sleep(100 * time.Millisecond) // it is in the queue: nothing tells that from outside
		c.Close()
		got[side] = fmt.Sprintf("%+v", d.line(t, side, "GET "+path))
		end()
	}
	d.compare(t, "the client left the queue", got, "")
}

// malformed compares what is no request.
func (d *duel) malformed(t *testing.T) {
	t.Helper()
	var got [2]string
	for side := range sides {
		c := e2e.Dial(t, d.ports["one"][side])
		c.Send("GET / HTTP/1.1\r\nHost : h\r\n\r\n")
		a := c.Answer("GET")
		got[side] = fmt.Sprintf("%d, log %+v", a.Status, d.line(t, side, "<BADREQ>"))
	}
	d.compare(t, "a blank before the colon", got, "")
}
