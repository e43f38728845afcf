package stats

import (
	"time"
)

// evil is what a client or a server may choose.
const evil = `<script>alert(1)</script>"'&` + "\x00\x1b[31m\u202e,=1+1\r\nX: y"

// fixture has every kind of row and every state.
func fixture() *Snapshot {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	ms := time.Millisecond
	var wave []Sample
	for i := range 60 {
		s := Sample{Rate: uint32(100 + (i*37)%60), Latency: 12 * ms}
		if i > 45 && i < 52 {
			s.Failed = uint32(i - 44)
		}
		wave = append(wave, s)
	}
	checks := func(pattern string, good, bad string) (out []Check) {
		for i, c := range pattern {
			k := Check{Ago: time.Duration(len(pattern)-i) * 2 * time.Second, Took: time.Duration(1+i%3) * ms, Good: c == '+', Text: good}
			if !k.Good {
				k.Text = bad
			}
			out = append(out, k)
		}
		return out
	}
	times := Times{12 * ms, 48 * ms, 310 * ms, 17 * ms}
	probe := Probe{On: true, Rise: 2, Fall: 3, Health: 4, History: checks("++++++++", "Layer7 check passed, code: 200", "")}
	server := func(pool, name, addr string) Row {
		return Row{Kind: Server, Group: pool, Name: name, Address: addr, Mode: "http", State: Up, Status: "UP", Since: 26 * time.Hour,
			Weight: 1, Configured: 1, Active: 1, Current: 12, Max: 80, Limit: 100, Total: 123456, Rate: 141.2, RateMax: 399, BytesIn: 1 << 30, BytesOut: 5 << 32,
			Classes: [6]uint64{0, 0, 120000, 2000, 1400, 56}, AnswerErrors: 3, ClientAborts: 17, Retries: 5, Redispatches: 2,
			Response: times, Whole: times, Queueing: Times{Avg: 2 * ms}, Connect: Times{Avg: ms}, Probe: probe, Samples: wave}
	}
	web := Pool{Total: Row{Kind: Group, Group: "web", Mode: "http", Algo: "roundrobin", State: Open, Status: "UP", Since: 26 * time.Hour, Weight: 4,
		Configured: 4, Active: 3, Backups: 1, Current: 36, Max: 240, Limit: 2000, Total: 370000, Rate: 420, RateMax: 1100, BytesIn: 3 << 30, BytesOut: 15 << 32,
		Classes: [6]uint64{0, 0, 360000, 6000, 3900, 100}, AnswerErrors: 9, ClientAborts: 40, Response: times, Whole: times, Samples: wave}}
	one, two := server("web", "one", "10.0.0.1:80"), server("web", "two", "10.0.0.2:80")
	two.State, two.Status, two.Weight, two.Active = Down, "DOWN", 1, 0
	two.Since, two.Rate = 42*time.Second, 0
	two.Probe = Probe{On: true, Rise: 2, Fall: 3, Health: 0, Fails: 31, Downs: 2, Downtime: 72 * time.Second,
		History: checks("++++--------", "Layer7 check passed, code: 200", "Layer4 connection problem, info: \"Connection refused\"")}
	three := server("web", "three", "10.0.0.3:80")
	three.State, three.Status, three.Ordered, three.Weight, three.Configured = Draining, "DRAIN", "drain, by admin", 0, 2
	four := server("web", "four", "10.0.0.4:80")
	four.State, four.Status, four.Backup, four.Active, four.Backups, four.Probe = Unchecked, "no check", true, 0, 1, Probe{}
	web.Servers = []Row{one, two, three, four}
	odd := Pool{Total: Row{Kind: Group, Group: evil, Mode: "tcp", State: Down, Status: "DOWN", Since: time.Second}}
	bad := server(evil, evil, evil)
	bad.Mode, bad.State, bad.Status, bad.Ordered, bad.Cookie = "tcp", Ejected, "NOLB", evil, evil
	bad.Probe.History = []Check{{Good: false, Text: "Layer7 wrong status, code: 500, info: \"" + evil + "\"", Took: 3 * time.Second}}
	odd.Servers = []Row{bad}
	return &Snapshot{
		At: at, Node: "lb1.example.com", Version: "1.0", PID: 4711, Started: at.Add(-50 * time.Hour), Loaded: at.Add(-26 * time.Hour),
		Generation: 7, Draining: 1, Connections: 812, ConnLimit: 25000,
		Sites: []Row{
			{Kind: Site, Group: "http://:80", Address: "http://:80", Mode: "http", State: Open, Status: "OPEN", Since: -1, Current: 36, Max: 300, Limit: 2000, Total: 400000,
				Rate: 433, RateMax: 1200, BytesIn: 3 << 30, BytesOut: 15 << 32, Classes: [6]uint64{0, 0, 380000, 6000, 13900, 100},
				Denied: 4000, BadRequests: 12, Whole: times, Response: times, Samples: wave},
			{Kind: Site, Group: "tcp://:443", Address: "tcp://:443", Mode: "tcp", State: Full, Status: "FULL", Since: -1, Current: 10, Max: 10, Limit: 10, Queued: 3, QueuedMax: 9, Total: 812},
		},
		Pools: []Pool{web, odd},
	}
}

// crowd has n servers in pools of 50.
func crowd(n int) *Snapshot {
	s := fixture()
	row := s.Pools[0].Servers[0]
	var out []Pool
	for i := range n {
		if i%50 == 0 {
			out = append(out, Pool{Total: s.Pools[0].Total})
			out[len(out)-1].Total.Group = "pool" + string(amount(nil, uint64(i/50)))
		}
		p := &out[len(out)-1]
		r := row
		r.Group, r.Name, r.Rate = p.Total.Group, "s"+string(amount(nil, uint64(i))), float64((i*7919)%1000)
		p.Servers = append(p.Servers, r)
	}
	s.Pools = out
	return s
}
