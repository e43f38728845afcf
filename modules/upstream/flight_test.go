package upstream

import (
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

type closer struct{ n int }

func (c *closer) Close() error { c.n++; return nil }

func asking(target string) *flow.Exchange {
	x := &flow.Exchange{}
	x.Begin(&flow.Conn{ID: 7, Client: netip.MustParseAddrPort("192.0.2.1:99")}, nil)
	x.Req.Method, x.Req.Original, x.Record.Site = "GET", []byte(target), "http://a"
	return x
}

// of gives the flights to a server.
func of(s *Server) (out []FlightInfo) {
	EachFlight(func(f FlightInfo) {
		if f.Server == s {
			out = append(out, f)
		}
	})
	return out
}

func TestFlight(t *testing.T) {
	s := server(0)
	f := NewFlight()
	f.Enter(s, asking("/a?token=secret"))
	got := of(s)
	if len(got) != 1 || got[0].Target != "/a" || got[0].Client.String() != "192.0.2.1" || got[0].Conn != 7 || got[0].Site != "http://a" ||
		got[0].Method != "GET" || got[0].Kind != ExchangeFlight {
		t.Fatalf("in flight: %+v", got)
	}
	first := &closer{}
	f.Carry(first)
	f.Carry(nil) // the connection may carry another exchange now
	if n := ShutFlights(func(i FlightInfo) bool { return i.ID == got[0].ID }); n != 1 || first.n != 0 {
		t.Errorf("%d ended, and a connection that was given back was closed %d times", n, first.n)
	}
	second := &closer{}
	if f.Carry(second); second.n != 1 {
		t.Error("what comes to carry a flight that is to end is not closed")
	}
	f.Leave()
	if left := of(s); len(left) != 0 {
		t.Errorf("left: %+v", left)
	}
	f.Enter(s, asking("/"+strings.Repeat("x", 200)))
	if n := ShutFlights(func(i FlightInfo) bool { return i.ID == got[0].ID }); n != 0 {
		t.Error("the ID of one exchange ends the next one")
	}
	if again := of(s)[0]; !strings.HasSuffix(again.Target, "x…") || len(again.Target) > targetRoom+4 {
		t.Errorf("a long target is shown as %q", again.Target)
	}
	third := &closer{}
	f.Carry(third)
	ShutFlights(func(i FlightInfo) bool { return i.Server == s })
	if third.n != 1 {
		t.Error("not closed")
	}
	f.Leave()
}

// Flights that nobody holds leave their place to new ones.
func TestFlightsAreCollected(t *testing.T) {
	s := server(0)
	for range 50 {
		for range 100 {
			NewFlight().EnterStream(s, nil, &flow.Record{})
		}
		runtime.GC()
	}
	flights.mu.Lock()
	n := len(flights.all)
	flights.mu.Unlock()
	if n > 2000 {
		t.Errorf("5,000 flights, 100 at a time, take %d places", n)
	}
}

// Reports, ends and traffic together; what is closed is the flight's own.
func TestFlightsRace(t *testing.T) {
	s := server(0)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			f := NewFlight()
			x := asking("/race")
			for range 2000 {
				f.Enter(s, x)
				mine := &closer{}
				f.Carry(mine)
				f.Carry(nil)
				n := mine.n // nobody closes it from here on
				runtime.Gosched()
				if mine.n != n || n > 1 {
					t.Error("closed after it was given back, or twice")
				}
				f.Leave()
			}
		})
	}
	for range 200 {
		EachFlight(func(FlightInfo) {})
		ShutFlights(func(i FlightInfo) bool { return i.Server == s })
	}
	wg.Wait()
	if left := of(s); len(left) != 0 {
		t.Errorf("left: %d", len(left))
	}
}

func TestFlightAllocatesNothing(t *testing.T) {
	s, f, x, c := server(0), NewFlight(), asking("/images/logo.png"), &closer{}
	if n := testing.AllocsPerRun(100, func() { f.Enter(s, x); f.Carry(c); f.Carry(nil); f.Leave() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkFlight(b *testing.B) {
	s, f, x, c := server(0), NewFlight(), asking("/images/logo.png"), &closer{}
	for b.Loop() {
		f.Enter(s, x)
		f.Carry(c)
		f.Carry(nil)
		f.Leave()
	}
}
