package main_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/quic-go/quic-go/http3"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// behindH3 starts two Loadstars, one of which reaches the other over HTTP/3, and that
// one an origin. written(in, n) writes their configuration anew, with an answer's field
// that says which.
func behindH3(t *testing.T, origin int) (port int, both [2]*e2e.Instance, written func(n int)) {
	t.Helper()
	p := e2e.Ports(t, 2)
	var options [2]string
	var state string
	options[0], _ = secureOptions(t)
	options[1], state = secureOptions(t)
	configs := func(n int) [2]string {
		return [2]string{options[0] + fmt.Sprintf(`http://:%d {
	log off
	header response X-Front %d
	proxy p
}
pool p {
	tls ca %s name localhost
	protocol h3
	server one 127.0.0.1:%d
}
`, p[0], n, filepath.Join(state, "internal", "root.crt"), p[1]),
			options[1] + fmt.Sprintf("https://localhost:%d {\n\tlog off\n\ttls internal protocols h1 h2 h3\n\theader response X-Behind %d\n\tproxy web\n}\npool web {\n\tserver one 127.0.0.1:%d\n}\n",
				p[1], n, origin)}
	}
	first := configs(0)
	both[1] = e2e.Run(t, first[1], p[1])
	both[0] = e2e.Run(t, first[0], p[0])
	return p[0], both, func(n int) {
		for i, text := range configs(n) {
			both[i].Write(text)
		}
	}
}

// echoing is an origin of net/http that answers while it reads; it gives its port.
func echoing(t *testing.T, h http.HandlerFunc) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex() // or it reads no further once it has answered
		h(w, r)
	})}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	_, port, _ := strings.Cut(l.Addr().String(), ":")
	n := 0
	_, _ = fmt.Sscan(port, &n)
	return n
}

// A request, its body of 1 MiB and its trailer, and those of the answer, reach who
// they are for over HTTP/3.
func TestThroughHTTP3(t *testing.T) {
	origin := echoing(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		w.Header().Set("X-Via", r.Header.Get("X-Forwarded-Proto"))
		n, _ := io.Copy(w, r.Body)
		w.Header().Set("X-Sum", fmt.Sprint(n, " ", r.Trailer.Get("X-End")))
	})
	port, _, _ := behindH3(t, origin)
	url := "http://" + rig.Addr(port) + "/"
	for _, size := range []int{0, 10, 1 << 20} {
		sent := bytes.Repeat([]byte("0123456789abcdef"), size/16)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, io.MultiReader(bytes.NewReader(sent)))
		if err != nil {
			t.Fatal(err)
		}
		req.Host, req.Trailer = "localhost", http.Header{"X-End": {"end"}}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != 200 || !bytes.Equal(got, sent) || res.Trailer.Get("X-Sum") != fmt.Sprint(len(sent), " end") {
			t.Errorf("%d bytes: %d, %d came back, %v, trailer %v", len(sent), res.StatusCode, len(got), err, res.Trailer)
		}
	}
	c := e2e.Dial(t, port)
	for range 10 {
		c.Send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if a := c.Answer("GET"); a.Status != 200 || a.Body != "" || a.Header.Get("X-Behind") != "0" || a.Header.Get("X-Front") != "0" {
			t.Fatalf("%d %q %v (%v)", a.Status, a.Body, a.Header, a.Err)
		}
	}
}

// Both sides of HTTP/3 are reloaded, again and again, while streams are under way and
// others come: nothing is lost, and a stream that began before goes on through all.
func TestReloadBothSidesOfHTTP3(t *testing.T) {
	t.Parallel()
	const reloads = 8
	release, begun := make(chan bool), make(chan bool, 1)
	origin := echoing(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/long" {
			_, _ = io.WriteString(w, "begun ")
			_ = http.NewResponseController(w).Flush()
			begun <- true
			<-release
		}
		_, _ = io.Copy(w, r.Body)
	})
	port, both, written := behindH3(t, origin)
	long := e2e.Dial(t, port)
	body := strings.Repeat("0123456789abcdef", 1<<15)
	long.Send(fmt.Sprintf("POST /long HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", len(body), body[:1000]))
	<-begun

	var done, stop = atomic.Int64{}, make(chan bool)
	var wg sync.WaitGroup
	for i := range 6 {
		c := e2e.Dial(t, port)
		method, text := http.MethodGet, ""
		if i%2 == 0 {
			method, text = http.MethodPost, strings.Repeat("x", 20_000)
		}
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				c.Send(fmt.Sprintf("%s / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", method, len(text), text))
				if a := c.Answer(method); a.Status != 200 || !a.Complete || a.Body != text {
					t.Errorf("%s behind %d others: %d, %d bytes, %v", method, done.Load(), a.Status, len(a.Body), a.Err)
					return
				}
				done.Add(1)
			}
		})
	}
	look := e2e.Dial(t, port)
	for n := 1; n <= reloads && !t.Failed(); n++ {
		written(n)
		both[0].Reload()
		both[1].Reload()
		var a e2e.Answer
		if !rig.Until(e2e.Patience, func() bool {
			look.Send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
			a = look.Answer("GET")
			return a.Status != 200 || a.Header.Get("X-Front") == fmt.Sprint(n) && a.Header.Get("X-Behind") == fmt.Sprint(n)
		}) || a.Status != 200 {
			t.Errorf("reload %d: %d %v (%v)", n, a.Status, a.Header, a.Err)
		}
		before := done.Load() // under each generation there is some load
		if !rig.Until(e2e.Patience, func() bool { return t.Failed() || done.Load() >= before+50 }) {
			t.Errorf("reload %d: no load", n)
		}
	}
	close(stop)
	wg.Wait()
	close(release)
	long.Send(body[1000:])
	if a := long.Answer("POST"); a.Status != 200 || a.Body != "begun "+body || a.Header.Get("X-Behind") != "0" {
		t.Errorf("the long exchange: %d, %d bytes, %v (%v)", a.Status, len(a.Body), a.Header, a.Err)
	}
	t.Logf("%d exchanges over %d reloads", done.Load(), reloads)
}

// TLS to servers of HTTP/3 is as the pool says: names, a template for what is asked for
// that has a connection for each name, a certificate of ours, an authority.
func TestTLSToHTTP3Servers(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	issue := newIssuer(t)
	issue.write(t, file("ca.crt"))
	issue.pair(t, file("web.crt"), file("web.key"), "web.test", "other.test")
	issue.pair(t, file("lb.crt"), file("lb.key"), "balancer.test")
	pair, err := tls.LoadX509KeyPair(file("web.crt"), file("web.key"))
	if err != nil {
		t.Fatal(err)
	}
	pc, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	conns := map[string]int{} // by the name that was asked for
	cfg := &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: issue.pool,
		GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			mu.Lock()
			conns[h.ServerName]++
			mu.Unlock()
			return nil, nil
		}}
	s := &http3.Server{Handler: &secureServer{}, TLSConfig: http3.ConfigureTLSConfig(cfg)}
	go func() { _ = s.Serve(pc) }()
	t.Cleanup(func() {
		_ = s.Close()
		_ = pc.Close()
	})
	options, _ := secureOptions(t)
	ports := e2e.Ports(t, 4)
	var text strings.Builder
	text.WriteString(options)
	for i, words := range []string{
		fmt.Sprintf("ca %[1]s/ca.crt name web.test cert %[1]s/lb.crt %[1]s/lb.key", dir),
		fmt.Sprintf("ca %s/ca.crt sni {http.host}", dir),
		fmt.Sprintf("ca %s/ca.crt", dir),
		"name web.test",
	} {
		_, _ = fmt.Fprintf(&text, "http://:%d {\n\tlog off\n\tproxy p%d\n}\npool p%d {\n\ttls %s\n\tprotocol h3\n\tretry 0\n\tserver s %s\n}\n", ports[i], i, i, words, pc.LocalAddr())
	}
	e2e.Run(t, text.String(), ports...)
	for _, c := range []struct {
		what string
		port int
		host string
		want string // "": refused
	}{
		{"named, with a certificate", ports[0], "a", "web.test h3 balancer.test 3"},
		{"template", ports[1], "web.test", "web.test h3 - 3"},
		{"template, another name", ports[1], "other.test", "other.test h3 - 3"},
		{"template, a name not covered", ports[1], "third.test", ""},
		{"the host of the address", ports[2], "a", ""},
		{"an authority nobody knows", ports[3], "a", ""},
	} {
		for range 3 {
			client := e2e.Dial(t, c.port)
			client.Send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc", c.host))
			if a := client.Answer("POST"); c.want == "" && a.Status != 503 || c.want != "" && (a.Status != 200 || a.Body != c.want) {
				t.Errorf("%s: %d %q (%v), want %q", c.what, a.Status, a.Body, a.Err, c.want)
			}
			client.Close()
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if conns["other.test"] != 1 {
		t.Errorf("connections by name: %v", conns)
	}
}
