package metrics

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/census"
	"github.com/loadstar-lb/loadstar/modules/measure"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// fixed is a Source.
type fixed struct{ c *census.Census }

func (f fixed) Census() *census.Census { return f.c }

// busy makes a census of some traffic: pools with servers, each of which had one
// exchange of 2 ms for each place it stands at.
func busy(pools, servers int) *census.Census {
	c := &census.Census{Process: census.Process{
		Version: "v1.2.3", Generation: 7, Loaded: time.Unix(1700000000, 0),
		Loads: census.Loads{Good: 7, Failed: 2, Last: time.Unix(1700000100, 0), Took: 30 * time.Millisecond},
	}}
	site := census.Site{Name: "http://:80", Traffic: new(measure.Traffic), Active: 3}
	for p := range pools {
		pool := census.Pool{Name: fmt.Sprint("pool", p), Live: upstream.NewLive()}
		for s := range servers {
			u := &upstream.Server{Key: upstream.Key{Pool: pool.Name, Name: fmt.Sprint("s", s)}, Weight: 1, Live: upstream.NewLive(), Group: pool.Live}
			for range s%3 + 1 {
				r := &flow.Record{Status: 200, BytesIn: 10, BytesOut: 100, Fresh: true}
				ms := int64(time.Millisecond)
				r.Timings = flow.Timings{Accept: ms, FirstByte: ms, Queued: ms, Slot: ms, Connected: 2 * ms, Answer: 4 * ms, End: 5 * ms}
				u.Count(r)
				site.Traffic.Count(r)
			}
			pool.Servers = append(pool.Servers, census.ServerOf(u, 1))
		}
		pool.Counts = pool.Live.Traffic.Counts()
		c.Pools = append(c.Pools, pool)
	}
	site.Counts = site.Traffic.Counts()
	c.Sites = []census.Site{site}
	c.Certificates = []census.Certificate{{Name: "a.example", Serial: "1f", Until: time.Unix(1800000000, 0)}}
	c.Sinks = []census.Sink{{Name: "syslog udp://127.0.0.1:514", Delivered: 90, Dropped: 10}}
	c.Traces = []census.Sink{{Name: "otlp http://127.0.0.1:4318/v1/traces", Delivered: 5}}
	return c
}

func scrape(t testing.TB, c *census.Census, limit int, accept string) (string, expfmt.Format) {
	t.Helper()
	f, _ := Negotiate(accept)
	var b bytes.Buffer
	if err := New(fixed{c}, limit).Write(&b, f); err != nil {
		t.Fatal(err)
	}
	return b.String(), f
}

const protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"

func parseText(t testing.TB, text string) map[string]*dto.MetricFamily {
	t.Helper()
	p := expfmt.NewTextParser(model.UTF8Validation)
	out, err := p.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// pick finds the one metric of a family with these labels.
func pick(t testing.TB, all map[string]*dto.MetricFamily, name string, pairs ...string) *dto.Metric {
	t.Helper()
	for _, m := range all[name].GetMetric() {
		got := map[string]string{}
		for _, l := range m.Label {
			got[l.GetName()] = l.GetValue()
		}
		same := len(got) == len(pairs)/2
		for i := 0; i < len(pairs); i += 2 {
			same = same && got[pairs[i]] == pairs[i+1]
		}
		if same {
			return m
		}
	}
	t.Fatalf("no %s%q", name, pairs)
	return nil
}

// TestFormats has Prometheus' own readers read each format, and its linter the text.
func TestFormats(t *testing.T) {
	c := busy(2, 3)
	text, _ := scrape(t, c, 0, "")
	all := parseText(t, text)
	for name, want := range map[string]float64{
		"loadstar_config_generation": 7, "loadstar_config_last_load_successful": 0, "loadstar_config_last_load_timestamp_seconds": 1700000100,
		"loadstar_config_last_load_duration_seconds": .03, "loadstar_config_in_force_timestamp_seconds": 1700000000,
	} {
		if got := pick(t, all, name).Gauge.GetValue(); got != want {
			t.Errorf("%s is %v", name, got)
		}
	}
	if n := pick(t, all, "loadstar_server_exchanges_total", "pool", "pool1", "server", "s2", "code", "2xx").Counter.GetValue(); n != 3 {
		t.Errorf("a server's exchanges: %v", n)
	}
	if n := pick(t, all, "loadstar_log_lines_total", "sink", "syslog udp://127.0.0.1:514", "result", "dropped").Counter.GetValue(); n != 10 {
		t.Errorf("dropped lines: %v", n)
	}
	if all["go_goroutines"] == nil || all["process_cpu_seconds_total"] == nil {
		t.Error("the runtime and the process are missing")
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "loadstar_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	if err != nil {
		t.Error(err)
	}
	for name, labels := range Names() {
		mf := all[name]
		if mf == nil {
			t.Errorf("%s is not written", name)
			continue
		}
		var got []string
		for _, l := range mf.Metric[0].Label {
			got = append(got, l.GetName())
		}
		want := slices.Clone(labels)
		slices.Sort(want)
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s has the labels %q, not %q", name, got, want)
		}
	}

	om, f := scrape(t, c, 0, "application/openmetrics-text;version=1.0.0")
	if f.FormatType() != expfmt.TypeOpenMetrics || !strings.HasSuffix(om, "# EOF\n") ||
		!strings.Contains(om, "# TYPE loadstar_site_exchanges counter\n") {
		t.Errorf("OpenMetrics: %s … %s", f, om[max(0, len(om)-100):])
	}
}

// TestHistograms: classic and native forms of the same values agree, and both are
// whole.
func TestHistograms(t *testing.T) {
	body, f := scrape(t, busy(2, 3), 0, protobuf)
	dec := expfmt.NewDecoder(strings.NewReader(body), f)
	seen := 0
	for {
		var mf dto.MetricFamily
		if err := dec.Decode(&mf); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if mf.GetType() != dto.MetricType_HISTOGRAM || !strings.HasPrefix(mf.GetName(), "loadstar_") {
			continue
		}
		for _, m := range mf.Metric {
			seen++
			h := m.Histogram
			native, n := h.GetZeroCount(), int64(0)
			spanned := 0
			for _, s := range h.PositiveSpan {
				spanned += int(s.GetLength())
			}
			for _, d := range h.PositiveDelta {
				n += d
				native += uint64(n)
			}
			if native != h.GetSampleCount() || spanned != len(h.PositiveDelta) || h.GetSchema() != measure.Schema {
				t.Errorf("%s: %d values, %d in native buckets (%d spanned, %d deltas)", mf.GetName(), h.GetSampleCount(), native, spanned, len(h.PositiveDelta))
			}
			before := uint64(0)
			for _, b := range h.Bucket {
				if b.GetCumulativeCount() < before || b.GetCumulativeCount() > h.GetSampleCount() {
					t.Errorf("%s: bucket %v has %d", mf.GetName(), b.GetUpperBound(), b.GetCumulativeCount())
				}
				before = b.GetCumulativeCount()
			}
		}
	}
	if seen != 4*(1+2+6) {
		t.Errorf("%d histograms", seen)
	}
	text, _ := scrape(t, busy(2, 3), 0, "")
	h := pick(t, parseText(t, text), "loadstar_pool_response_seconds", "pool", "pool0").Histogram
	last := h.Bucket[len(h.Bucket)-1]
	if h.GetSampleCount() != 6 || !math.IsInf(last.GetUpperBound(), 1) || last.GetCumulativeCount() != 6 || math.Abs(h.GetSampleSum()-.012) > 1e-9 {
		t.Errorf("%v", h)
	}
	for _, b := range h.Bucket {
		want := uint64(0)
		if b.GetUpperBound() >= .002 {
			want = 6
		}
		if b.GetCumulativeCount() != want {
			t.Errorf("up to %v: %d", b.GetUpperBound(), b.GetCumulativeCount())
		}
	}
}

// TestLimit: whatever the limit, sums stay the same, and no series comes twice.
func TestLimit(t *testing.T) {
	whole := map[string]float64{}
	for _, limit := range []int{1000, 9, 7, 4, 2, 1} {
		c := busy(4, 3)
		c.Pools[3].Name = "other" // a name that is also ours
		c.Sites = append(c.Sites, c.Sites[0], c.Sites[0])
		c.Sites[1].Name, c.Sites[2].Name = "http://b", "http://c"
		text, _ := scrape(t, c, limit, "")
		all := parseText(t, text)
		for name, mf := range all {
			if !strings.HasPrefix(name, "loadstar_") || mf.GetType() != dto.MetricType_COUNTER {
				continue
			}
			seen, total := map[string]bool{}, 0.0
			for _, m := range mf.Metric {
				key := fmt.Sprint(m.Label)
				if seen[key] {
					t.Errorf("limit %d: %s%s comes twice", limit, name, key)
				}
				seen[key] = true
				total += m.Counter.GetValue()
			}
			if limit == 1000 {
				whole[name] = total
			} else if total != whole[name] {
				t.Errorf("limit %d: %s sums up to %v, not %v", limit, name, total, whole[name])
			}
		}
		for of, total := range map[string]int{"site": 3, "pool": 4, "server": 12} {
			if n := pick(t, all, "loadstar_metrics_summed_up", "kind", of).Gauge.GetValue(); n != float64(max(0, total-limit)) {
				t.Errorf("limit %d: %v of %ss are summed up", limit, n, of)
			}
			if n := len(all["loadstar_"+of+"_active"].Metric); n < min(limit, total) || n > limit+4 {
				t.Errorf("limit %d: %d series of %ss", limit, n, of)
			}
		}
	}
}

// TestNamesOfUsers: what a configuration may be called cannot break a line.
func TestNamesOfUsers(t *testing.T) {
	c := busy(1, 1)
	c.Pools[0].Name = "a\"b\\c\nd\xff{}"
	c.Pools[0].Servers[0].Name = "\x00\u2028'"
	text, _ := scrape(t, c, 0, "")
	pick(t, parseText(t, text), "loadstar_server_up", "pool", "a\"b\\c\nd\uFFFD{}", "server", "\x00\u2028'")
}

// TestBusy: no more scrapes at a time than are good for the others.
func TestBusy(t *testing.T) {
	e := New(fixed{busy(1, 1)}, 0)
	f, _ := Negotiate("")
	r, w := io.Pipe()
	done := make(chan error)
	for range atOnce {
		go func() { done <- e.Write(w, f) }()
	}
	one := make([]byte, 1)
	if _, err := r.Read(one); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); len(e.busy) < atOnce; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("they never began")
		}
	}
	if err := e.Write(io.Discard, f); !errors.Is(err, ErrBusy) {
		t.Errorf("one more: %v", err)
	}
	r.CloseWithError(io.ErrClosedPipe) // who scrapes has left
	for range atOnce {
		if err := <-done; !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("a scrape whose reader left: %v", err)
		}
	}
	if err := e.Write(io.Discard, f); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestManyServers: with 10,000 servers a scrape stays within what a scraper takes.
func TestManyServers(t *testing.T) {
	c := busy(100, 100)
	begin := time.Now()
	text, _ := scrape(t, c, 0, "")
	t.Logf("%d bytes in %v", len(text), time.Since(begin))
	if n := strings.Count(text, "\n"); n > 150_000 || len(text) > 20<<20 {
		t.Errorf("%d lines, %d bytes", n, len(text))
	}
	for _, line := range []string{
		`loadstar_metrics_summed_up{kind="server"} 9000`, `loadstar_server_exchanges_total{pool="pool99",server="other",code="2xx"} 199`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no %s", line)
		}
	}
}

func BenchmarkScrape(b *testing.B) {
	for _, limit := range []int{1000, 10_000} {
		e := New(fixed{busy(100, 100)}, limit)
		for name, accept := range map[string]string{"text": "", "protobuf": protobuf} {
			f, _ := Negotiate(accept)
			b.Run(fmt.Sprintf("10000servers/limit=%d/%s", limit, name), func(b *testing.B) {
				b.ReportAllocs()
				for range b.N {
					if err := e.Write(io.Discard, f); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
