package pool

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/modules/balancer"
	"github.com/loadstar-lb/loadstar/modules/health"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

func TestServersOwnHealth(t *testing.T) {
	p, errs := New(parse(t, "p", `
		health http GET /ok expect 200 interval 4s fall 5 host a.example
		server plain 127.0.0.1:80
		server off 127.0.0.1:81 health off
		server less 127.0.0.1:82 health interval 9s port 99
		server other 127.0.0.1:83 health tcp rise 7
		server gone 127.0.0.1:84 disabled
		server sock unix//run/s.sock health address 127.0.0.9 port 7`), Deps{})
	if errs.HasErrors() {
		t.Fatal(errs)
	}
	var got []string
	for _, m := range p.monitors {
		if m == nil {
			got = append(got, "none")
			continue
		}
		got = append(got, fmt.Sprintf("%T %s %s %d/%d", m.Probe, m.Target.Address, m.Settings.Interval, m.Settings.Rise, m.Settings.Fall))
	}
	want := []string{
		"*health.httpProbe 127.0.0.1:80 4s 2/5",
		"none",
		"*health.httpProbe 127.0.0.1:99 9s 2/5",
		"health.tcpProbe 127.0.0.1:83 4s 7/5",
		"none",
		"*health.httpProbe 127.0.0.9:7 4s 2/5",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Servers are probed in the version of HTTP that they are spoken to in; what listens
// elsewhere, in what TLS agrees on.
func TestProbeProtocol(t *testing.T) {
	p, errs := New(parse(t, "p", `
		health http GET /ok
		protocol h2c
		server clear 127.0.0.1:80
		server beside 127.0.0.1:81 health port 99
		server older 127.0.0.1:82 protocol h1
		server secure 127.0.0.1:83 protocol h2 tls
		server elsewhere 127.0.0.1:84 protocol h2 tls on health port 99
		server either 127.0.0.1:85 protocol auto tls`), Deps{})
	if errs.HasErrors() {
		t.Fatal(errs)
	}
	for i, want := range []upstream.Protocol{upstream.H2, upstream.H1, upstream.H1, upstream.H2, upstream.Auto, upstream.Auto} {
		if m := p.monitors[i]; m.Target.Protocol != want || (m.Target.TLS != nil) != (i > 2) {
			t.Errorf("%s: %d, TLS %v; want %d", m.Target.Name, m.Target.Protocol, m.Target.TLS != nil, want)
		}
	}
}

// A reload keeps the monitors whose settings did not change, and only those.
func TestReloadKeepsMonitors(t *testing.T) {
	lives, monitors := registry{}, map[health.Key]*health.Monitor{}
	d := Deps{Live: lives.live, Monitor: func(k health.Key, make func() *health.Monitor) *health.Monitor {
		if monitors[k] == nil {
			monitors[k] = make()
		}
		return monitors[k]
	}}
	make := func(text string) *Pool {
		p, errs := New(parse(t, "p", text), d)
		if errs.HasErrors() {
			t.Fatal(errs)
		}
		return p
	}
	a := make("health http\nserver s1 127.0.0.1:1\nserver s2 127.0.0.1:2")
	b := make("balance leastconn\nhealth http\nserver s2 127.0.0.1:2 weight 7\nserver s1 127.0.0.1:1 health interval 3s")
	if a.monitors[1] != b.monitors[0] {
		t.Error("a monitor whose settings are the same was not kept")
	}
	if a.monitors[0] == b.monitors[1] {
		t.Error("a monitor with other settings was kept")
	}
	if a.servers[1].Live != b.servers[0].Live || a.servers[1] == b.servers[0] {
		t.Error("Live is shared by generations, Server is not")
	}
}

// What a probe said is void once the configuration has no probes.
func TestReloadWithoutProbes(t *testing.T) {
	lives := registry{}
	d := Deps{Live: lives.live, Log: (&logs{}).logger()}
	a := build(t, "health tcp interval 1h\nserver s1 127.0.0.1:1\nserver s2 127.0.0.1:2", d)
	a.Servers()[0].Live.SetVerdict(upstream.Down, "reason: test")
	b := build(t, "server s1 127.0.0.1:1\nserver s2 127.0.0.1:2", d)
	share(t, b, 4, map[string]int{"s1": 2, "s2": 2})
}

// Real sockets: a server that answers 500 leaves the rotation and comes back.
func TestProbesMoveServers(t *testing.T) {
	var sick atomic.Bool
	serve := func(sick *atomic.Bool) string {
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
				status := "200 OK"
				if sick != nil && sick.Load() {
					status = "500 Sick"
				}
				_, _ = c.Read(make([]byte, 512))
				_, _ = io.WriteString(c, "HTTP/1.0 "+status+"\r\n\r\n")
				_ = c.Close()
			}
		}()
		return l.Addr().String()
	}
	var out logs
	p := build(t, "health http interval 10ms rise 2 fall 2\nserver a "+serve(&sick)+"\nserver b "+serve(nil),
		Deps{Log: out.logger()})
	until := func(want int) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
			if active, _ := p.Usable(); active == want {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("never %d active servers; logged:\n%s", want, out.String())
			}
		}
	}
	until(2)
	sick.Store(true)
	until(1)
	for range 5 {
		s, name := acquire(p, &balancer.Ask{})
		if name != "b" {
			t.Fatalf("got %s", name)
		}
		p.Release(s)
	}
	sick.Store(false)
	until(2)
	// The last line is written after the picker was swapped.
	_ = p.Close()
	if got := out.String(); strings.Count(got, "Server p/a is DOWN, reason: Layer7 wrong status, code: 500") != 1 {
		t.Errorf("logged:\n%s", got)
	}
}
