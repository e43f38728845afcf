package httplog

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/logging"
)

// The oracle: HAProxy serves known requests and logs them to us. What only it can know
// (client port, date, timers, byte counts, counters of connections) is read from its
// line; everything else is given by the case. Our line of the same record must then be
// its line, byte for byte.

const haproxyConfig = `
global
    log %[1]s local0
defaults
    log global
    timeout connect 1s
    timeout client 300ms
    timeout server 300ms
frontend web
    mode http
    option httplog
    bind fd@3
    capture request header Host len 64
    capture request header X-Cap len 64
    capture response header X-Res len 64
    capture cookie SID len 64
    http-request deny if { path /deny }
    http-request redirect location /there if { path /redirect }
    use_backend none if { path /none }
    use_backend dead if { path /dead }
    default_backend farm
frontend plain
    mode http
    option httplog
    bind fd@4
    default_backend farm
backend farm
    mode http
    server s1 %[2]s
backend none
    mode http
backend dead
    mode http
    option redispatch
    server d1 127.0.0.1:1
    server d2 127.0.0.1:1
listen stream
    mode tcp
    option tcplog
    bind fd@5
    server s1 %[2]s
listen refused
    mode tcp
    option tcplog
    bind fd@6
    retries 0
    server s1 127.0.0.1:1
`

// streamPort is the index of the frontend "stream" among the ports.
const streamPort = 2

// lineOf splits a line of HAProxy's into what its side of a case decides.
var lineOf = regexp.MustCompile(`^(\S+):(\d+) \[([^]]+)\] (\S+) (\S+)/(\S+) (-?\d+(?:/-?\d+)+) (?:(-?\d+) )?(\d+) (?:(\S+) (\S+) )?(\S+) (\d+)/(\d+)/(\d+)/(\d+)/\+?(\d+) (\d+)/(\d+)`)

func TestAgainstHAProxy(t *testing.T) {
	h := startHAProxy(t)
	const crlf = "\r\n"
	get := func(path, more string) string {
		return "GET " + path + " HTTP/1.1\r\nHost: a{b|c}\"#\r\nX-Cap: \xe9\x7f~\r\nConnection: close\r\n" + more + crlf
	}
	reqCaptures := [][]byte{[]byte(`a{b|c}"#`), []byte("\xe9\x7f~")}
	noResponse := [][]byte{nil}
	seen := func(path string, r flow.Record) flow.Record {
		r.Method, r.URI, r.Version = "GET", []byte(path), "HTTP/1.1"
		r.ReqCaptures, r.RespCaptures = reqCaptures, noResponse
		if r.Site == "" {
			r.Site = "web"
		}
		return r
	}
	ok := flow.Record{Pool: "farm", Server: "s1", Status: 200}
	served := func(path string) flow.Record {
		r := seen(path, ok)
		r.RespCaptures = [][]byte{[]byte("{x}|\"y")}
		return r
	}
	bad := flow.Record{Site: "web", Bad: true, Status: 400, Cause: 'P', Phase: 'R'}
	long := "/" + strings.Repeat("a", 2000)
	plainLong := served(long)
	plainLong.Site, plainLong.ReqCaptures, plainLong.RespCaptures = "plain", nil, nil
	withCookies := served(`/q"?a={b}|c`)
	withCookies.ReqCookie, withCookies.RespCookie = []byte("SID=one"), []byte("SID=two")
	for _, c := range []struct {
		name   string
		port   int
		send   string
		record flow.Record
	}{
		{"ok", 0, get("/", ""), served("/")},
		{"quotes, braces, cookies", 0, get(`/q"?a={b}|c`, "Cookie: x=y; SID=one; z=1\r\n"), withCookies},
		{"no captures", 1, "GET / HTTP/1.0\r\n\r\n", flow.Record{Site: "plain", Pool: "farm", Server: "s1", Status: 200, Method: "GET", URI: []byte("/"), Version: "HTTP/1.0"}},
		{"long", 1, get(long, ""), plainLong},
		{"deny", 0, get("/deny", ""), seen("/deny", flow.Record{Status: 403, Cause: 'P', Phase: 'R'})},
		{"redirect", 0, get("/redirect", ""), seen("/redirect", flow.Record{Status: 302, Cause: 'L', Phase: 'R'})},
		{"no server", 0, get("/none", ""), seen("/none", flow.Record{Pool: "none", Status: 503, Cause: 'S', Phase: 'C'})},
		{"redispatched", 0, get("/dead", ""), seen("/dead", flow.Record{Pool: "dead", Server: "d?", Status: 503, Cause: 'S', Phase: 'C', Redispatched: true})},
		{"empty answer", 0, get("/empty", ""), seen("/empty", flow.Record{Pool: "farm", Server: "s1", Status: 502, Cause: 'S', Phase: 'H'})},
		{"junk answer", 0, get("/junk", ""), seen("/junk", flow.Record{Pool: "farm", Server: "s1", Status: 502, Cause: 'P', Phase: 'H'})},
		{"no answer in time", 0, get("/slow", ""), seen("/slow", flow.Record{Pool: "farm", Server: "s1", Status: 504, Cause: 's', Phase: 'H'})},
		{"bad request", 0, "GET / HTTP/1.1\x00\r\n\r\n", bad},
		{"nothing came", 0, "", flow.Record{Site: "web", Status: 408, Cause: 'c', Phase: 'R'}},
		{"stream", 2, "GET / HTTP/1.0\r\n\r\n", flow.Record{Site: "stream", Server: "s1", Stream: true}},
		{"stream refused", 3, "x", flow.Record{Site: "refused", Server: "s1", Stream: true, Cause: 'S', Phase: 'C'}},
		{"stream stalled", 2, "", flow.Record{Site: "stream", Server: "s1", Stream: true, Cause: 'c', Phase: 'D'}},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := h.log(t, c.port, c.send)
			m := lineOf.FindStringSubmatch(want)
			if m == nil {
				t.Fatalf("cannot read HAProxy's line %s", want)
			}
			r := c.record
			fill(t, &r, m)
			var f logging.Format = HTTP{}
			if r.Stream {
				f = TCP{}
			}
			got := string(f.Append(nil, &r))
			if len(want) > 900 { // HAProxy's limit counts the syslog header, too
				if len(got) < len(want) {
					t.Errorf("%d bytes, HAProxy %d", len(got), len(want))
				}
				got = got[:len(want)]
			}
			if got != want {
				t.Errorf("\nours    %s\nHAProxy %s", got, want)
			}
		})
	}
}

// fill gives a record what only HAProxy can know.
func fill(t *testing.T, r *flow.Record, m []string) {
	t.Helper()
	num := func(i int) int64 { n, _ := strconv.ParseInt(m[i], 10, 64); return n }
	r.Client = netip.AddrPortFrom(netip.MustParseAddr(m[1]), uint16(num(2)))
	at, err := time.ParseInLocation("02/Jan/2006:15:04:05.000", m[3], time.Local)
	if err != nil {
		t.Fatal(err)
	}
	r.Start = at
	if r.Server == "d?" && strings.HasPrefix(m[6], "d") {
		r.Server = m[6]
	}
	var spans []int64
	for s := range strings.SplitSeq(m[7], "/") {
		n, _ := strconv.ParseInt(s, 10, 64)
		spans = append(spans, n)
	}
	const start = int64(time.Hour)
	r.Timings = flow.Timings{Accept: start, FirstByte: start, End: start + spans[len(spans)-1]*ms}
	steps := []*int64{&r.Timings.Head, &r.Timings.Slot, &r.Timings.Connected, &r.Timings.Answer}
	if r.Stream {
		r.Timings.Queued = start
		steps = steps[1:3]
	}
	if r.Method == "" && !r.Stream && !r.Bad {
		r.Timings.FirstByte = 0
	}
	sum := start
	for i, n := range spans[:len(spans)-1] {
		if n < 0 {
			break
		}
		sum += n * ms
		*steps[i] = sum
	}
	r.BytesOut = num(9)
	r.ActConn, r.SiteConn, r.PoolConn, r.ServerConn = num(13), num(14), num(15), num(16)
	r.Retries, r.ServerQueue, r.PoolQueue = int(num(17)), num(18), num(19)
}

type haproxy struct {
	logs  net.PacketConn
	ports []*net.TCPAddr
}

func startHAProxy(t *testing.T) *haproxy {
	t.Helper()
	binary, err := exec.LookPath("haproxy")
	if err != nil {
		if binary = "/usr/sbin/haproxy"; !exists(binary) {
			t.Skip("haproxy is not installed: its log lines were not compared with ours")
		}
	}
	h := &haproxy{}
	h.logs, err = net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.logs.Close() })
	// HAProxy inherits listening sockets, so that no port has to be guessed.
	var files []*os.File
	for range 4 {
		l := listen(t)
		f, err := l.File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files, h.ports = append(files, f), append(h.ports, l.Addr().(*net.TCPAddr)) // a TCP listener's
	}
	origin := listen(t)
	go serveOrigin(origin)
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	config := fmt.Sprintf(haproxyConfig, h.logs.LocalAddr(), origin.Addr())
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, binary, "-db", "-q", "-f", file)
	cmd.ExtraFiles = files
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = cmd.Wait() })
	return h
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

func listen(t *testing.T) *net.TCPListener {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// serveOrigin answers by the path that it is asked for.
func serveOrigin(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			r := bufio.NewReader(c)
			request, err := r.ReadString('\n')
			for line := "x"; err == nil && line != "\r\n"; {
				line, err = r.ReadString('\n')
			}
			switch {
			case err != nil, strings.Contains(request, "/empty"):
			case strings.Contains(request, "/junk"):
				_, _ = io.WriteString(c, "junk\r\n\r\n")
			case strings.Contains(request, "/slow"):
				_, _ = io.Copy(io.Discard, r)
			default:
				cookie := ""
				if strings.HasPrefix(request, "GET /q") {
					cookie = "Set-Cookie: SID=two\r\n"
				}
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Res: {x}|\"y\r\n"+cookie+"\r\nhi")
			}
		}()
	}
}

// log sends one request to a port and gives the line that HAProxy made of it.
func (h *haproxy) log(t *testing.T, port int, send string) string {
	t.Helper()
	c, err := net.DialTCP("tcp", nil, h.ports[port])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(c, send)
	if port == streamPort && send != "" {
		_ = c.CloseWrite() // else the stream ends by a timeout
	}
	_, _ = io.Copy(io.Discard, c)
	buf := make([]byte, 64<<10)
	for {
		_ = h.logs.SetReadDeadline(time.Now().Add(10 * time.Second))
		n, _, err := h.logs.ReadFrom(buf)
		if err != nil {
			t.Fatal("no line came: ", err)
		}
		// Of other lines (a proxy's start), none has our port in it.
		_, line, _ := strings.Cut(strings.TrimSuffix(string(buf[:n]), "\n"), "]: ")
		if strings.HasPrefix(line, c.LocalAddr().String()+" ") {
			return line
		}
	}
}
