package httplog

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/logging"
)

const ms = int64(time.Millisecond)

// sample is an exchange that went well: accepted at 5 ms, idle until 100, read by 103, a slot
// after 7, connected after 2, answered after 40, ended 10 later.
func sample() flow.Record {
	return flow.Record{
		Start:  time.Date(2026, 2, 3, 4, 5, 6, 78_900_000, time.Local),
		Client: netip.MustParseAddrPort("192.0.2.7:40000"),
		Site:   "web", Pool: "farm", Server: "s1",
		Timings: flow.Timings{
			Accept: 5 * ms, FirstByte: 100 * ms, Head: 103 * ms, Queued: 103 * ms, Slot: 110 * ms,
			Connected: 112 * ms, Answer: 152 * ms, End: 162 * ms,
		},
		Method: "GET", URI: []byte("/a?b=c"), Version: "HTTP/1.1",
		Status: 200, BytesOut: 1234, BytesIn: 99,
		ActConn: 5, SiteConn: 4, PoolConn: 3, ServerConn: 2,
	}
}

const head = "192.0.2.7:40000 [03/Feb/2026:04:05:06.078] "

func TestHTTP(t *testing.T) {
	const tail = ` 5/4/3/2/0 0/0 "GET /a?b=c HTTP/1.1"`
	for _, c := range []struct {
		name   string
		change func(r *flow.Record)
		want   string
	}{
		{"plain", func(*flow.Record) {}, head + `web farm/s1 3/7/2/40/62 200 1234 - - ----` + tail},
		{
			"IPv6", func(r *flow.Record) { r.Client = netip.MustParseAddrPort("[2001:db8::1%eth0]:9") },
			`2001:db8::1:9 [03/Feb/2026:04:05:06.078] web farm/s1 3/7/2/40/62 200 1234 - - ----` + tail,
		},
		{
			"mapped IPv4", func(r *flow.Record) { r.Client = netip.MustParseAddrPort("[::ffff:192.0.2.7]:40000") },
			head + `web farm/s1 3/7/2/40/62 200 1234 - - ----` + tail,
		},
		{
			"unix socket", func(r *flow.Record) { r.Client = netip.AddrPort{} },
			`unix:0 [03/Feb/2026:04:05:06.078] web farm/s1 3/7/2/40/62 200 1234 - - ----` + tail,
		},
		{"TLS", func(r *flow.Record) { r.TLS = true }, head + `web~ farm/s1 3/7/2/40/62 200 1234 - - ----` + tail},
		{
			"own answer", func(r *flow.Record) {
				r.Pool, r.Server, r.Status, r.Cause, r.Phase = "", "", 403, 'P', 'R'
				r.Timings.Queued, r.Timings.Slot, r.Timings.Connected, r.Timings.Answer = 0, 0, 0, 0
			}, head + `web web/<NOSRV> 3/-1/-1/-1/62 403 1234 - - PR--` + tail,
		},
		{
			"refused", func(r *flow.Record) {
				r.Status, r.Cause, r.Phase, r.Retries, r.Redispatched = 503, 'S', 'C', 3, true
				r.Timings.Connected, r.Timings.Answer = 0, 0
			}, head + `web farm/s1 3/7/-1/-1/62 503 1234 - - SC-- 5/4/3/2/+3 0/0 "GET /a?b=c HTTP/1.1"`,
		},
		{
			"queued", func(r *flow.Record) { r.ServerQueue, r.PoolQueue, r.Retries = 11, 22, 1 },
			head + `web farm/s1 3/7/2/40/62 200 1234 - - ---- 5/4/3/2/1 11/22 "GET /a?b=c HTTP/1.1"`,
		},
		{
			"cookies", func(r *flow.Record) {
				r.ReqCookie, r.RespCookie, r.CookieIn, r.CookieOut = []byte("SID=a b\""), []byte("SID=#\n"), 'V', 'N'
			}, head + `web farm/s1 3/7/2/40/62 200 1234 SID=a#20b#22 SID=#23#0A --VN` + tail,
		},
		{
			"captures", func(r *flow.Record) {
				r.ReqCaptures = [][]byte{[]byte("www.example.com"), nil, []byte(`a|b{c}"`)}
				r.RespCaptures = [][]byte{[]byte("\x1b[0m é")}
			}, head + `web farm/s1 3/7/2/40/62 200 1234 - - ---- 5/4/3/2/0 0/0 ` +
				`{www.example.com||a#7Cb#7Bc#7D#22} {#1B[0m #C3#A9} "GET /a?b=c HTTP/1.1"`,
		},
		{
			"one capture, empty", func(r *flow.Record) { r.ReqCaptures = [][]byte{nil} },
			head + `web farm/s1 3/7/2/40/62 200 1234 - - ---- 5/4/3/2/0 0/0 {} "GET /a?b=c HTTP/1.1"`,
		},
		{
			"forged", func(r *flow.Record) { r.URI = []byte("/\" 200\r\n192.0.2.1#|{}\x7f") },
			head + `web farm/s1 3/7/2/40/62 200 1234 - - ---- 5/4/3/2/0 0/0 "GET /#22 200#0D#0A192.0.2.1#23|{}#7F HTTP/1.1"`,
		},
		{
			"bad request", func(r *flow.Record) {
				r.Bad, r.Status, r.Cause, r.Phase, r.Pool, r.Server = true, 400, 'P', 'R', "", ""
				r.ReqCaptures = [][]byte{nil}
				r.Timings = flow.Timings{Accept: 5 * ms, FirstByte: 10 * ms, Head: 11 * ms, End: 12 * ms}
			}, head + `web web/<NOSRV> -1/-1/-1/-1/2 400 1234 - - PR-- 5/4/3/2/0 0/0 "<BADREQ>"`,
		},
		{
			"nothing came", func(r *flow.Record) {
				r.Method, r.Status, r.Cause, r.Phase, r.Pool, r.Server = "", 0, 'c', 'R', "", ""
				r.Timings = flow.Timings{Accept: 5 * ms, End: 10_005 * ms}
			}, head + `web web/<NOSRV> -1/-1/-1/-1/10000 -1 1234 - - cR-- 5/4/3/2/0 0/0 "<BADREQ>"`,
		},
		{
			"names from the configuration", func(r *flow.Record) { r.Site, r.Pool, r.Server = `my "site"`, "example.com#2", "a\nb" },
			head + `my#20#22site#22 example.com#2/a#0Ab 3/7/2/40/62 200 1234 - - ----` + tail,
		},
		{
			"odd letters", func(r *flow.Record) { r.Cause, r.Phase = ' ', '\n' },
			head + `web farm/s1 3/7/2/40/62 200 1234 - - ----` + tail,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := sample()
			c.change(&r)
			if got := string(HTTP{}.Append(nil, &r)); got != c.want {
				t.Errorf("\ngot  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestTCP(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(r *flow.Record)
		want   string
	}{
		{"plain", func(*flow.Record) {}, head + `web farm/s1 7/2/157 1234 -- 5/4/3/2/0 0/0`},
		{"TLS", func(r *flow.Record) { r.TLS = true }, head + `web~ farm/s1 7/2/157 1234 -- 5/4/3/2/0 0/0`},
		{
			"no queue asked", func(r *flow.Record) { r.Timings.Queued = 0 },
			head + `web farm/s1 0/2/157 1234 -- 5/4/3/2/0 0/0`,
		},
		{
			"refused", func(r *flow.Record) {
				r.Cause, r.Phase, r.Retries, r.Redispatched, r.Timings.Connected = 'S', 'C', 2, true, 0
			}, head + `web farm/s1 7/-1/157 1234 SC 5/4/3/2/+2 0/0`,
		},
		{
			"no server", func(r *flow.Record) {
				r.Server, r.Cause, r.Phase, r.CookieIn = "", 's', 'Q', 'N'
				r.Timings.Slot, r.Timings.Connected = 0, 0
			}, head + `web farm/<NOSRV> -1/-1/157 1234 sQ 5/4/3/2/0 0/0`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := sample()
			c.change(&r)
			if got := string(TCP{}.Append(nil, &r)); got != c.want {
				t.Errorf("\ngot  %s\nwant %s", got, c.want)
			}
		})
	}
}

// TestTimesAddUp: the parts are whole milliseconds of one clock, and never sum up to more
// than the whole, however the moments fall.
func TestTimesAddUp(t *testing.T) {
	r := sample()
	r.Timings = flow.Timings{
		Accept: 1, FirstByte: 999_999, Head: 1_999_998, Slot: 2_999_997, Connected: 3_999_996, Answer: 4_999_995, End: 5_999_994,
	}
	if got := string(HTTP{}.Append(nil, &r)); !strings.Contains(got, " 0/1/0/1/4 ") && !strings.Contains(got, " 0/1/1/1/4 ") {
		t.Errorf("got %s", got)
	}
}

// TestEndUnknown: a record whose end was not noted ends now.
func TestEndUnknown(t *testing.T) {
	r := sample()
	r.Timings = flow.Timings{Accept: flow.Now() - 5*ms}
	if got := string(TCP{}.Append(nil, &r)); strings.Contains(got, "/-1 ") {
		t.Errorf("no total: %s", got)
	}
}

// TestLineIsCut: a line ends at 1024 bytes, where HAProxy's ends, whatever came before
// it in the buffer, and an escape is not cut in two.
func TestLineIsCut(t *testing.T) {
	for _, uri := range []string{"/" + strings.Repeat("a", 5000), strings.Repeat("\x01", 5000)} {
		r := sample()
		r.URI = []byte(uri)
		got := HTTP{}.Append([]byte("kept"), &r)[4:]
		if len(got) > maxLine || len(got) < maxLine-3 {
			t.Errorf("%d bytes", len(got))
		}
		if i := bytes.LastIndexByte(got, '#'); i > len(got)-3 {
			t.Errorf("cut inside an escape: %q", got[i:])
		}
	}
	r := sample()
	r.ReqCaptures = [][]byte{bytes.Repeat([]byte("x"), 5000)}
	r.Site, r.Pool = strings.Repeat("s", 3000), strings.Repeat("p", 3000)
	for _, f := range []logging.Format{HTTP{}, TCP{}} {
		if n := len(f.Append(nil, &r)); n != maxLine {
			t.Errorf("%T: %d bytes", f, n)
		}
	}
}

// TestDate compares with the time package: cached, older than the cached, and negative.
func TestDate(t *testing.T) {
	base := time.Date(2026, 3, 29, 0, 59, 58, 0, time.UTC) // an hour lost in much of Europe
	for _, d := range []time.Duration{
		0, time.Millisecond, 999 * time.Millisecond, time.Second, 0, 3 * time.Second, time.Second,
		24 * time.Hour, -24 * time.Hour, -100 * 365 * 24 * time.Hour, time.Hour,
	} {
		at := base.Add(d)
		want := at.Local().Format("02/Jan/2006:15:04:05.000")
		for range 2 {
			if got := string(appendDate(nil, at)); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	}
}

func TestAllocations(t *testing.T) {
	r := sample()
	r.ReqCaptures = [][]byte{[]byte("www.example.com")}
	r.URI = []byte("/\n" + strings.Repeat("a", 2000))
	buf := make([]byte, 0, 2*maxLine)
	for _, f := range []logging.Format{HTTP{}, TCP{}} {
		if n := testing.AllocsPerRun(1000, func() { buf = f.Append(buf[:0], &r) }); n != 0 {
			t.Errorf("%T: %v allocations", f, n)
		}
	}
}

// FuzzLine: whatever a client sends, one record is one line of printable bytes, within its
// length, and its quotes and blanks are the format's own.
func FuzzLine(f *testing.F) {
	f.Add([]byte("/a\r\nb"), "GET", []byte("SID=\""), []byte("c|{}"), "HTTP/1.1", true)
	f.Add([]byte("0"), "0", []byte("{"), []byte("0"), "0", true)
	f.Add([]byte("/#22 \x00"), "", []byte(""), []byte{}, "HTTP/2.0", false)
	f.Fuzz(func(t *testing.T, uri []byte, method string, cookie, capture []byte, version string, captured bool) {
		r := sample()
		r.URI, r.Method, r.ReqCookie, r.RespCookie, r.Version = uri, method, cookie, cookie, version
		if captured {
			r.ReqCaptures, r.RespCaptures = [][]byte{capture, capture}, [][]byte{capture}
		}
		for _, format := range []logging.Format{HTTP{}, TCP{}} {
			line := format.Append(nil, &r)
			if len(line) > maxLine {
				t.Fatalf("%d bytes", len(line))
			}
			for _, c := range line {
				if c < ' ' || c > '~' {
					t.Fatalf("byte %#x in %q", c, line)
				}
			}
			if bytes.Count(line, []byte{'"'}) > 2 {
				t.Fatalf("quotes in %q", line)
			}
			if len(line) == maxLine || format != (HTTP{}) {
				continue
			}
			// What the client sent adds no blank before the captures, and no
			// brace or bar in them.
			rest := bytes.SplitN(line, []byte{' '}, 13)[12]
			before, _, quoted := bytes.Cut(rest, []byte{'"'})
			if !quoted || captured && (bytes.Count(before, []byte{'{'}) != 2 || bytes.Count(before, []byte{'|'}) != 1) ||
				!captured && len(before) != 0 {
				t.Fatalf("captures in %q", line)
			}
		}
	})
}

func BenchmarkHTTP(b *testing.B) {
	r := sample()
	buf := make([]byte, 0, 2*maxLine)
	b.ReportAllocs()
	for b.Loop() {
		buf = HTTP{}.Append(buf[:0], &r)
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkTCP(b *testing.B) {
	r := sample()
	buf := make([]byte, 0, 2*maxLine)
	b.ReportAllocs()
	for b.Loop() {
		buf = TCP{}.Append(buf[:0], &r)
	}
}

// devNull takes lines at once, for what a caller pays.
type devNull struct{}

func (devNull) Deliver(lines []logging.Line) (int, error) { return len(lines), nil }
func (devNull) Check()                                    {}
func (devNull) Reopen() error                             { return nil }
func (devNull) Close() error                              { return nil }

// BenchmarkLog is what an exchange pays for its line: format and ring, not the sink. It lets
// the ring drain in between, unmeasured, so that no cheap drop counts as a line.
func BenchmarkLog(b *testing.B) {
	q := logging.NewQueue(logging.Key{Kind: "null"}, devNull{})
	var l logging.Logger = &logging.Output{Format: HTTP{}, Sink: q, Level: logging.Info}
	r := sample()
	b.ReportAllocs()
	for i := range b.N {
		if i%2048 == 0 {
			b.StopTimer()
			for q.Stats().Held > 0 {
				time.Sleep(time.Millisecond)
			}
			b.StartTimer()
		}
		l.Log(&r)
	}
	if d := q.Stats().Dropped; d > 0 {
		b.Errorf("%d lines dropped", d)
	}
	_ = q.Close()
}
