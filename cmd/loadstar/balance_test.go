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

// form is a site whose pool looks for u in bodies; the last servers are origins
// that answer with their number, and the first ones are dead.
func form(t *testing.T, dead, alive int, options string) (port int, origins []*e2e.Origin) {
	t.Helper()
	port = e2e.Ports(t, 1)[0]
	var b strings.Builder
	fmt.Fprintf(&b, "http://:%d {\n bind 127.0.0.1\n timeout header 2s\n log off\n proxy farm\n}\npool farm {\n balance url_param u check_post %s\n", port, options)
	for i := range dead {
		fmt.Fprintf(&b, " server dead%d 127.0.0.1:1\n", i)
	}
	for i := range alive {
		o := e2e.NewOrigin(t, func(c net.Conn, _ *e2e.Message) bool {
			_, err := fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d", i)
			return err == nil
		})
		origins = append(origins, o)
		fmt.Fprintf(&b, " server s%d %s\n", i, rig.Addr(o.Port))
	}
	b.WriteString("}\n")
	e2e.Run(t, b.String(), port)
	return port, origins
}

// taken gives the one request that the origins got.
func taken(t *testing.T, origins []*e2e.Origin) (m e2e.Message) {
	t.Helper()
	n := 0
	for _, o := range origins {
		messages, broken := o.Take()
		if len(broken) > 0 {
			t.Fatalf("broken requests: %q", broken)
		}
		for _, got := range messages {
			m, n = got, n+1
		}
	}
	if n != 1 {
		t.Fatalf("%d requests came, want one", n)
	}
	return m
}

// What was waited for is sent on whole, whatever its framing and however much of
// it was looked at.
func TestCheckPostSendsTheBodyOn(t *testing.T) {
	port, origins := form(t, 0, 3, "1KiB")
	for name, body := range map[string]string{
		"short": "a=1&u=7", "as long as the limit": "u=7&" + strings.Repeat("x", 1020), "longer": "u=7&" + strings.Repeat("x", 1021),
		"much longer": "u=7&" + strings.Repeat("abcdefgh", 40000), "key behind the limit": strings.Repeat("x=1&", 300) + "u=7",
	} {
		for _, chunked := range []bool{false, true} {
			first := ""
			for range 2 {
				c := e2e.Dial(t, port)
				head := fmt.Sprintf("POST /f HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", len(body))
				sent := body
				if chunked {
					head = "POST /f HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n"
					half := len(body) / 2
					sent = fmt.Sprintf("%x\r\n%s\r\n%x\r\n%s\r\n0\r\nX-T: end\r\n\r\n", half, body[:half], len(body)-half, body[half:])
				}
				c.Send(head)
				c.Send(sent[:len(sent)/3])
				c.Send(sent[len(sent)/3:])
				a := c.Answer("POST")
				m := taken(t, origins)
				if a.Status != 200 || m.Body != body || !m.Complete {
					t.Fatalf("%s (chunked %v): %d; the server got %d bytes of %d", name, chunked, a.Status, len(m.Body), len(body))
				}
				if chunked && m.Trailer.Get("X-T") != "end" {
					t.Errorf("%s: the trailer is lost: %v", name, m.Trailer)
				}
				if first != "" && first != a.Body && name != "key behind the limit" {
					t.Errorf("%s: server %s, then %s", name, first, a.Body)
				}
				first = a.Body
				c.Close()
			}
		}
	}
}

func TestCheckPostAnswersExpectations(t *testing.T) {
	port, origins := form(t, 0, 2, "")
	c := e2e.Dial(t, port)
	c.Send("POST /f HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
	if a := c.Answer("POST"); a.Status != 100 {
		t.Fatalf("%d (%v), want 100", a.Status, a.Err)
	}
	c.Send("u=1")
	if a := c.Answer("POST"); a.Status != 200 {
		t.Fatalf("%d (%v), want 200", a.Status, a.Err)
	}
	if m := taken(t, origins); m.Body != "u=1" || m.Header.Get("Expect") != "" {
		t.Errorf("the server got %q with %v", m.Body, m.Header)
	}
	c.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n") // and the connection goes on
	if a := c.Answer("GET"); a.Status != 200 {
		t.Errorf("the next request: %d (%v)", a.Status, a.Err)
	}
}

// A body that does not come is no server's business.
func TestCheckPostDoesNotWaitForever(t *testing.T) {
	t.Parallel()
	port, origins := form(t, 0, 2, "")
	c := e2e.Dial(t, port)
	c.Send("POST /f HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nu=")
	if a := c.Answer("POST"); a.Status != 408 || !c.Closed() {
		t.Errorf("a body that stops: %d (%v), want 408 and the end", a.Status, a.Err)
	}
	c = e2e.Dial(t, port)
	c.Send("POST /f HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nu=")
	c.CloseWrite()
	if a := c.Answer("POST"); a.Status != 400 {
		t.Errorf("a body that breaks off: %d (%v), want 400", a.Status, a.Err)
	}
	c = e2e.Dial(t, port)
	c.Send("POST /f HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
	if a := c.Answer("POST"); a.Status != 400 {
		t.Errorf("a body that is none: %d (%v), want 400", a.Status, a.Err)
	}
	for _, o := range origins {
		if m, _ := o.Take(); len(m) != 0 {
			t.Errorf("a server got %+v", m)
		}
	}
}

// The body was collected, so that another server can have it.
func TestCheckPostIsRetried(t *testing.T) {
	port, origins := form(t, 2, 1, "")
	for i := range 6 {
		c := e2e.Dial(t, port)
		body := fmt.Sprintf("u=%d", i)
		c.Send(fmt.Sprintf("POST /f HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
		if a := c.Answer("POST"); a.Status != 200 {
			t.Fatalf("%d (%v)", a.Status, a.Err)
		}
		if m := taken(t, origins); m.Body != body {
			t.Errorf("the server got %q, want %q", m.Body, body)
		}
		c.Close()
	}
}

// In a tcp site the text of `hash` is made of the connection.
func TestHashInTCPSites(t *testing.T) {
	port := e2e.Ports(t, 1)[0]
	var b strings.Builder
	fmt.Fprintf(&b, "tcp://:%d {\n bind 127.0.0.1\n log off\n proxy farm\n}\npool farm {\n balance hash {client.ip} consistent\n", port)
	for i := range 4 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = io.WriteString(c, fmt.Sprint(i))
				_ = c.Close()
			}
		}()
		fmt.Fprintf(&b, " server s%d %s\n", i, l.Addr())
	}
	b.WriteString("}\n")
	e2e.Run(t, b.String(), port)
	seen := map[string]bool{}
	for i := range 24 {
		source := fmt.Sprintf("127.0.1.%d", i+1)
		first := ""
		for range 2 {
			c := e2e.DialFrom(t, source, port)
			got, err := io.ReadAll(c.Conn)
			if err != nil || len(got) != 1 || first != "" && first != string(got) {
				t.Fatalf("%s: %q after %q (%v)", source, got, first, err)
			}
			first = string(got)
			c.Close()
		}
		seen[first] = true
	}
	if len(seen) < 3 {
		t.Errorf("24 clients on %d of 4 servers", len(seen))
	}
}

// Mistakes are shown at their place.
func TestBalanceMistakes(t *testing.T) {
	const site = "http://:8080 {\n\tproxy web\n}\n"
	for name, c := range map[string]struct {
		text string
		want []string // all in the output
		bad  bool
	}{
		"weight": {site + "pool web {\n\tserver a 10.0.0.1:80 weight 257\n}\n",
			[]string{":5:30: error: weight must be from 0 to 256", "[out-of-range]"}, true},
		"unknown": {site + "pool web {\n\tbalance round_robin\n\tserver a 10.0.0.1:80\n}\n",
			[]string{`:5:10: error: unknown kind "round_robin" of balance`, `did you mean "roundrobin"?`}, true},
		"placeholder": {site + "pool web {\n\tbalance hash {http.hots}\n\tserver a 10.0.0.1:80\n}\n",
			[]string{":5:15: error: unknown placeholder {http.hots}", `did you mean "{http.host}"?`}, true},
		"fixed text": {site + "pool web {\n\tbalance hash everybody\n\tserver a 10.0.0.1:80\n}\n",
			[]string{":5:15: error: without a placeholder the text is always the same", "[bad-balance]"}, true},
		"two layouts": {site + "pool web {\n\tbalance uri consistent maglev\n\tserver a 10.0.0.1:80\n}\n",
			[]string{":5:25: error: `maglev` and `consistent` exclude each other"}, true},
		"factor": {site + "pool web {\n\tbalance uri balance_factor 100%\n\tserver a 10.0.0.1:80\n}\n",
			[]string{":5:29: error: balance_factor must be from 101%"}, true},
		"no name": {site + "pool web {\n\tbalance url_param \"\"\n\tserver a 10.0.0.1:80\n}\n",
			[]string{":5:2: error: the name of the parameter is empty"}, true},
		"requests in a tcp site": {"tcp://:8080 {\n\tproxy web\n}\npool web {\n\tbalance uri\n\tserver a 10.0.0.1:80\n}\n",
			[]string{":2:2: error: pool web balances by what stands in HTTP requests; this site is tcp", "[http-in-tcp-site]", "----------- said here"}, true},
		"nobody usable": {site + "pool web {\n\tserver a 10.0.0.1:80 weight 0\n\tserver b 10.0.0.1:81 disabled\n}\n",
			[]string{":4:6: warning: no server of pool web can be chosen", "[no-usable-server]"}, false},
		"first without maxconn": {site + "pool web {\n\tbalance first\n\tserver a 10.0.0.1:80\n\tserver b 10.0.0.1:81\n}\n",
			[]string{":5:2: warning: server b is never chosen while a is up, which has no maxconn"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "Lbfile")
			if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(e2e.Binary(t), "check", "--config", file).CombinedOutput()
			if (err != nil) != c.bad {
				t.Errorf("refused: %v", err)
			}
			for _, want := range c.want {
				if !strings.Contains(string(out), want) {
					t.Errorf("%q is not in\n%s", want, out)
				}
			}
		})
	}
}
