package http3

import (
	"net"
	"sync/atomic"
	"testing"
)

// relay passes datagrams of one client on, and back unless it is deaf.
type relay struct {
	in, out *net.UDPConn
	deaf    atomic.Bool
	client  atomic.Pointer[net.UDPAddr]
}

func newRelay(t testing.TB, to net.Addr) *relay {
	t.Helper()
	server, ok := to.(*net.UDPAddr)
	if !ok {
		t.Fatal(to)
	}
	r := &relay{in: listenUDP(t), out: listenUDP(t)}
	go func() {
		buf := make([]byte, 2000)
		for {
			n, from, err := r.in.ReadFromUDP(buf)
			if err != nil {
				return
			}
			r.client.Store(from)
			_, _ = r.out.WriteToUDP(buf[:n], server)
		}
	}()
	go func() {
		buf := make([]byte, 2000)
		for {
			n, _, err := r.out.ReadFromUDP(buf)
			if err != nil {
				return
			}
			if to := r.client.Load(); to != nil && !r.deaf.Load() {
				_, _ = r.in.WriteToUDP(buf[:n], to)
			}
		}
	}()
	return r
}

func (r *relay) addr() string { return r.in.LocalAddr().String() }
