package metrics

import (
	"math"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"

	"github.com/loadstar-lb/loadstar/modules/census"
	"github.com/loadstar-lb/loadstar/modules/measure"
)

// family is one metric family: what it is called, and how it is filled.
type family struct {
	name, help string
	kind       dto.MetricType
	labels     []string
	fill       func(v *view) []*dto.Metric
}

// view is a census with the labels of its series.
type view struct {
	*census.Census
	sites   []group[census.Site]
	pools   []group[census.Pool]
	servers []group[census.Server]
}

// group is what one series is about: one site, pool or server, or all those
// beyond the limit.
type group[T any] struct {
	labels []*dto.LabelPair
	of     []*T
}

func newView(c *census.Census, limit int) *view {
	v := &view{Census: c}
	for i := range c.Sites {
		v.sites = add(v.sites, limit, &c.Sites[i], "site", own(c.Sites[i].Name))
	}
	left := limit
	for i := range c.Pools {
		p := &c.Pools[i]
		v.pools = add(v.pools, limit, p, "pool", own(p.Name))
		n := min(left, len(p.Servers))
		left -= n
		for j := range p.Servers[:n] {
			s := &p.Servers[j]
			v.servers = append(v.servers, group[census.Server]{labels("pool", own(p.Name), "server", own(s.Name)), []*census.Server{s}})
		}
		v.rest(v.pools[len(v.pools)-1].labels[0].GetValue(), p.Servers[n:])
	}
	return v
}

// rest sums up servers, those of all pools that are summed up in one.
func (v *view) rest(pool string, servers []census.Server) {
	if len(servers) == 0 {
		return
	}
	last := len(v.servers) - 1
	if pool != Other || last < 0 || v.servers[last].labels[0].GetValue() != Other {
		v.servers = append(v.servers, group[census.Server]{labels: labels("pool", pool, "server", Other)})
		last++
	}
	for j := range servers {
		v.servers[last].of = append(v.servers[last].of, &servers[j])
	}
}

// own keeps a name apart from the one of sums.
func own(name string) string {
	if name == Other {
		return name + "_"
	}
	return name
}

// add gives a site or a pool its group.
func add[T any](all []group[T], limit int, one *T, label ...string) []group[T] {
	if len(all) < limit {
		return append(all, group[T]{labels(label...), []*T{one}})
	}
	if len(all) == limit {
		all = append(all, group[T]{labels: labels(label[0], Other)})
	}
	all[limit].of = append(all[limit].of, one)
	return all
}

// labels makes pairs of names and values. Prometheus takes UTF-8 only.
func labels(pairs ...string) []*dto.LabelPair {
	out := make([]*dto.LabelPair, 0, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		value := strings.ToValidUTF8(pairs[i+1], "\uFFFD")
		out = append(out, &dto.LabelPair{Name: &pairs[i], Value: &value})
	}
	return out
}

// of is how series of one kind are made.
type of[T any] struct {
	prefix string // of names
	labels []string
	groups func(v *view) []group[T]
}

var (
	ofSites   = of[census.Site]{"loadstar_site_", []string{"site"}, func(v *view) []group[census.Site] { return v.sites }}
	ofPools   = of[census.Pool]{"loadstar_pool_", []string{"pool"}, func(v *view) []group[census.Pool] { return v.pools }}
	ofServers = of[census.Server]{"loadstar_server_", []string{"pool", "server"}, func(v *view) []group[census.Server] { return v.servers }}
)

// value makes one number of a metric.
func value(kind dto.MetricType, labels []*dto.LabelPair, n float64) *dto.Metric {
	m := &dto.Metric{Label: labels}
	if kind == dto.MetricType_COUNTER {
		m.Counter = &dto.Counter{Value: &n}
	} else {
		m.Gauge = &dto.Gauge{Value: &n}
	}
	return m
}

func (o of[T]) one(kind dto.MetricType, name, help string, fold func(a, b float64) float64, read func(*T) float64) family {
	return family{o.prefix + name, help, kind, o.labels, func(v *view) []*dto.Metric {
		groups := o.groups(v)
		out := make([]*dto.Metric, 0, len(groups))
		for _, g := range groups {
			n := read(g.of[0])
			for _, t := range g.of[1:] {
				n = fold(n, read(t))
			}
			out = append(out, value(kind, g.labels, n))
		}
		return out
	}}
}

func sum(a, b float64) float64 { return a + b }

// counter is a family of counters, gauge one of gauges that are summed up beyond
// the limit, peak one of those of which the highest counts.
func (o of[T]) counter(name, help string, read func(*T) float64) family {
	return o.one(dto.MetricType_COUNTER, name, help, sum, read)
}

func (o of[T]) gauge(name, help string, read func(*T) float64) family {
	return o.one(dto.MetricType_GAUGE, name, help, sum, read)
}

func (o of[T]) peak(name, help string, read func(*T) float64) family {
	return o.one(dto.MetricType_GAUGE, name, help, math.Max, read)
}

// split is a label whose values are counted apart.
type split struct {
	label  string
	values []string
}

// each is a family with one more label.
func (o of[T]) each(kind dto.MetricType, name, help string, by split, read func(t *T, i int) float64) family {
	names := slices.Concat(o.labels, []string{by.label})
	return family{o.prefix + name, help, kind, names, func(v *view) []*dto.Metric {
		groups := o.groups(v)
		out := make([]*dto.Metric, 0, len(groups)*len(by.values))
		for _, g := range groups {
			for i := range by.values {
				n := 0.0
				for _, t := range g.of {
					n += read(t, i)
				}
				pairs := slices.Concat(g.labels, []*dto.LabelPair{{Name: &by.label, Value: &by.values[i]}})
				out = append(out, value(kind, pairs, n))
			}
		}
		return out
	}}
}

// bounds are the powers of two of a second that classic buckets end at: from a
// quarter of a millisecond to a minute, in steps of four of servers, of which there
// are many, of two elsewhere.
const (
	firstBound = -12
	lastBound  = 6
)

// times is a family of histograms of a phase.
func (o of[T]) times(name, help string, step int, p measure.Phase, read func(*T) *measure.Traffic) family {
	return family{o.prefix + name, help, dto.MetricType_HISTOGRAM, o.labels, func(v *view) []*dto.Metric {
		groups := o.groups(v)
		out := make([]*dto.Metric, 0, len(groups))
		var s measure.Snapshot
		for _, g := range groups {
			s.Reset()
			for _, t := range g.of {
				if tr := read(t); tr != nil {
					tr.Read(p, &s)
				}
			}
			out = append(out, &dto.Metric{Label: g.labels, Histogram: histogram(&s, step)})
		}
		return out
	}}
}

// histogram gives a snapshot both of its forms.
func histogram(s *measure.Snapshot, step int) *dto.Histogram {
	total, count := s.Sum.Seconds(), s.Count
	schema, threshold, zeros := int32(measure.Schema), measure.Zero, s.Zero
	h := &dto.Histogram{
		SampleCount: &count, SampleSum: &total,
		Schema: &schema, ZeroThreshold: &threshold, ZeroCount: &zeros,
	}
	for exp := firstBound; exp <= lastBound; exp += step {
		bound, n := math.Exp2(float64(exp)), s.UpTo(exp)
		h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: &bound, CumulativeCount: &n})
	}
	next, last := measure.Key(0), int64(0)
	s.Sparse(func(k measure.Key, n uint64) {
		if len(h.PositiveSpan) == 0 || k != next {
			offset, length := int32(k-next), uint32(0)
			h.PositiveSpan = append(h.PositiveSpan, &dto.BucketSpan{Offset: &offset, Length: &length})
		}
		*h.PositiveSpan[len(h.PositiveSpan)-1].Length++
		h.PositiveDelta = append(h.PositiveDelta, int64(n)-last)
		next, last = k+1, int64(n)
	})
	if len(h.PositiveSpan) == 0 { // a native histogram without values is known by an empty span
		offset, length := int32(0), uint32(0)
		h.PositiveSpan = []*dto.BucketSpan{{Offset: &offset, Length: &length}}
	}
	return h
}
