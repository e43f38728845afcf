package handler

import (
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/pool"
)

// poolOf makes a pool of servers at addresses, with a connect timeout and
// options for them all.
func poolOf(t *testing.T, options []config.Node, addrs ...string) *pool.Pool {
	t.Helper()
	cfg := &config.Pool{Name: "farm"}
	word := func(s string) config.Value { return config.Value{Text: s} }
	for i, a := range addrs {
		cfg.Body = append(cfg.Body, config.Node{
			Word: "server", Args: []config.Value{word(string(rune('a' + i))), word(a)}, Options: options,
		})
	}
	cfg.Body = append(cfg.Body,
		config.Node{Word: "queue", Options: []config.Node{
			{Word: "timeout", Args: []config.Value{{Kind: spec.Duration, Int: int64(50 * time.Millisecond)}}}}},
		config.Node{Word: "timeout", Options: []config.Node{
			{Word: "connect", Args: []config.Value{{Kind: spec.Duration, Int: int64(100 * time.Millisecond)}}}}})
	p, errs := pool.New(cfg, pool.Deps{})
	if errs.HasErrors() {
		t.Fatal(errs)
	}
	p.Start()
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// refusing gives an address where nobody listens.
func refusing(t *testing.T) string {
	l := listen(t)
	defer l.Close()
	return l.Addr().String()
}

// stream has h handle a connection whose other end is given; the record comes
// when it is over.
func stream(t *testing.T, h StreamHandler) (client *net.TCPConn, over <-chan *flow.Record) {
	t.Helper()
	l := listen(t)
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); s.Close() })
	out := make(chan *flow.Record, 1)
	go func() {
		r := &flow.Record{Stream: true}
		fc := &flow.Conn{Conn: s, Client: netip.MustParseAddrPort(s.RemoteAddr().String())}
		if !h.HandleConn(fc, r) {
			t.Error("the stream was not taken")
		}
		s.Close()
		out <- r
	}()
	return c.(*net.TCPConn), out
}

func endOf(r *flow.Record) string { return string([]byte{or(r.Cause), or(r.Phase)}) }

func or(b byte) byte {
	if b == 0 {
		return '-'
	}
	return b
}

func TestStreamIsRelayed(t *testing.T) {
	l := listen(t)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		q, _ := io.ReadAll(c) // until the client's half-close
		c.Write(append([]byte("re: "), q...))
		c.Close()
	}()
	p := poolOf(t, nil, l.Addr().String())
	c, over := stream(t, &StreamProxy{Pool: p, Idle: time.Minute})
	io.WriteString(c, "hello")
	c.CloseWrite()
	if got, err := io.ReadAll(c); string(got) != "re: hello" || err != nil {
		t.Fatalf("answer %q, %v", got, err)
	}
	r := <-over
	if endOf(r) != "--" || r.BytesIn != 5 || r.BytesOut != 9 || r.Server != "a" || r.Pool != "farm" || r.Retries != 0 {
		t.Errorf("record %s in %d out %d server %q pool %q retries %d", endOf(r), r.BytesIn, r.BytesOut, r.Server, r.Pool, r.Retries)
	}
	if r.ServerConn != 1 || r.PoolConn != 1 || p.Servers()[0].Live.Active() != 0 {
		t.Errorf("connections %d/%d, then %d; want 1/1, then 0", r.ServerConn, r.PoolConn, p.Servers()[0].Live.Active())
	}
	if r.Timings.Queued == 0 || r.Timings.Slot < r.Timings.Queued || r.Timings.Connected < r.Timings.Slot {
		t.Errorf("timings %+v", r.Timings)
	}
}

// TestStreamIsRedispatched has one server that refuses: every stream must reach
// the other.
func TestStreamIsRedispatched(t *testing.T) {
	l := listen(t)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, "ok")
			c.Close()
		}
	}()
	p := poolOf(t, nil, refusing(t), l.Addr().String())
	redispatched := 0
	for range 8 {
		c, over := stream(t, &StreamProxy{Pool: p, Idle: time.Minute})
		got, err := io.ReadAll(c)
		c.Close()
		r := <-over
		if string(got) != "ok" || err != nil || r.Server != "b" {
			t.Fatalf("got %q, %v from %q", got, err, r.Server)
		}
		if r.Redispatched {
			redispatched++
			if r.Retries != 1 {
				t.Errorf("%d retries, want 1", r.Retries)
			}
		}
	}
	if redispatched == 0 || redispatched > 3 { // the breaker opens after three strikes
		t.Errorf("%d streams met the dead server, want 1 to 3", redispatched)
	}
}

func TestStreamFailures(t *testing.T) {
	quiet := listen(t) // accepts in the kernel, never answers
	full := []config.Node{{Word: "maxconn", Args: []config.Value{{Kind: spec.Int, Int: 1}}}}
	tests := map[string]struct {
		pool  *pool.Pool
		idle  time.Duration
		busy  bool
		act   func(c *net.TCPConn)
		flags string
	}{
		"refused":      {pool: poolOf(t, nil, refusing(t)), flags: "SC"},
		"queue":        {pool: poolOf(t, full, quiet.Addr().String()), busy: true, flags: "sQ"},
		"idle":         {pool: poolOf(t, nil, quiet.Addr().String()), idle: 50 * time.Millisecond, flags: "cD"},
		"server idle":  {pool: poolOf(t, nil, quiet.Addr().String()), idle: 50 * time.Millisecond, act: func(c *net.TCPConn) { c.CloseWrite() }, flags: "sD"},
		"client reset": {pool: poolOf(t, nil, quiet.Addr().String()), act: func(c *net.TCPConn) { c.SetLinger(0); c.Close() }, flags: "CD"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tc.busy && !tc.pool.Servers()[0].Take() {
				t.Fatal("no slot")
			}
			c, over := stream(t, &StreamProxy{Pool: tc.pool, Idle: tc.idle})
			if tc.act != nil {
				tc.act(c)
			}
			r := <-over
			if endOf(r) != tc.flags || r.Err == nil {
				t.Errorf("ended with %s, %v; want %s", endOf(r), r.Err, tc.flags)
			}
			if n := tc.pool.Servers()[0].Live.Active(); !tc.busy && n != 0 {
				t.Errorf("%d slots still taken", n)
			}
		})
	}
}
