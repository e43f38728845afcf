package metrics

import (
	"runtime"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/loadstar-lb/loadstar/modules/census"
	"github.com/loadstar-lb/loadstar/modules/measure"
)

func siteFamilies() []family {
	return append(traffic(ofSites, 1, func(s *census.Site) *measure.Counts { return &s.Counts }, func(s *census.Site) *measure.Traffic { return s.Traffic }),
		ofSites.gauge("active", "Exchanges and streams in progress.", func(s *census.Site) float64 { return float64(s.Active) }),
		ofSites.gauge("limit", "The site's maxconn; 0: none.", func(s *census.Site) float64 { return float64(s.Limit) }),
		ofSites.gauge("waiting", "Exchanges and streams that wait for a turn, at the site's maxconn.", func(s *census.Site) float64 { return float64(s.Waiting) }),
		ofSites.peak("waiting_peak", "Exchanges and streams that waited for a turn, at most so far.", func(s *census.Site) float64 { return float64(s.Traffic.Queued.Max()) }),
		ofSites.peak("rate_peak", "Exchanges and streams that ended within a second, at most so far.", func(s *census.Site) float64 { return s.RateMax }),
	)
}

func poolFamilies() []family {
	return append(traffic(ofPools, 1, func(p *census.Pool) *measure.Counts { return &p.Counts }, func(p *census.Pool) *measure.Traffic { return &p.Live.Traffic }),
		ofPools.gauge("active", "Exchanges and streams in progress.", func(p *census.Pool) float64 { return float64(p.Active) }),
		ofPools.gauge("queued", "Who wait for a slot of a server.", func(p *census.Pool) float64 { return float64(p.Queued) }),
		ofPools.peak("queued_peak", "Who waited for a slot of a server, at most so far.", func(p *census.Pool) float64 { return float64(p.Live.Traffic.Queued.Max()) }),
		ofPools.gauge("queue_limit", "How many may wait for a slot; 0: no limit.", func(p *census.Pool) float64 { return float64(p.QueueSize) }),
		ofPools.gauge("servers", "Servers, whatever their state.", func(p *census.Pool) float64 { return float64(len(p.Servers)) }),
		ofPools.gauge("servers_usable", "Servers that may be chosen now, backups apart.", func(p *census.Pool) float64 { return float64(p.Usable) }),
		ofPools.gauge("backups_usable", "Backups that may be chosen when no other server is usable.", func(p *census.Pool) float64 { return float64(p.Backups) }),
		ofPools.counter("tries_total", "Tries at servers, of which an exchange may take several.", func(p *census.Pool) float64 { return float64(p.Total) }),
		ofPools.counter("connect_errors_total", "Tries that failed to connect.", func(p *census.Pool) float64 { return float64(p.Connects) }),
		ofPools.counter("response_errors_total", "Tries whose answer was late, broken or missing.", func(p *census.Pool) float64 { return float64(p.Answers) }),
		ofPools.peak("rate_peak", "Exchanges and streams that ended within a second, at most so far.", func(p *census.Pool) float64 { return p.RateMax }),
	)
}

var byState = func() split {
	s := split{label: "state"}
	for _, st := range census.States {
		s.values = append(s.values, string(st))
	}
	return s
}()

func serverFamilies() []family {
	all := traffic(ofServers, 2, func(s *census.Server) *measure.Counts { return &s.Counts }, func(s *census.Server) *measure.Traffic { return &s.Live.Traffic })
	return append(all,
		ofServers.gauge("active", "Exchanges and streams in progress.", func(s *census.Server) float64 { return float64(s.Active) }),
		ofServers.gauge("limit", "Slots that the server has now; 0: no limit.", func(s *census.Server) float64 { return float64(s.Limit) }),
		ofServers.gauge("queued", "Who wait for this very server.", func(s *census.Server) float64 { return float64(s.Queued) }),
		ofServers.peak("queued_peak", "Who waited for this very server, at most so far.", func(s *census.Server) float64 { return float64(s.Live.Traffic.Queued.Max()) }),
		ofServers.peak("rate_peak", "Exchanges and streams that ended within a second, at most so far.", func(s *census.Server) float64 { return s.RateMax }),
		ofServers.gauge("weight", "The weight in force; 0 drains.", func(s *census.Server) float64 { return float64(s.Weight) }),
		ofServers.gauge("up", "Whether it is up: neither its probes nor its agent nor an operator take it away.", func(s *census.Server) float64 { return truth(s.Up) }),
		ofServers.gauge("usable", "Whether it takes part in balancing, or would as a backup.", func(s *census.Server) float64 { return truth(s.Usable) }),
		ofServers.each(dto.MetricType_GAUGE, "state", "1 for the state that the server is in.", byState,
			func(s *census.Server, i int) float64 { return truth(s.State == census.States[i]) }),
		ofServers.peak("changed_timestamp_seconds", "When its probes last changed their verdict, or the process began.",
			func(s *census.Server) float64 { return seconds(time.Now().Add(-s.Changed)) }),
		ofServers.counter("tries_total", "Tries, of which an exchange may take several.", func(s *census.Server) float64 { return float64(s.Total) }),
		ofServers.counter("connect_errors_total", "Tries that failed to connect.", func(s *census.Server) float64 { return float64(s.Connects) }),
		ofServers.counter("response_errors_total", "Tries whose answer was late, broken or missing.", func(s *census.Server) float64 { return float64(s.Answers) }),
		ofServers.counter("checks_total", "Probes.", func(s *census.Server) float64 { return float64(s.Checks.Made) }),
		ofServers.counter("check_failures_total", "Probes that failed.", func(s *census.Server) float64 { return float64(s.Checks.Failed) }),
		ofServers.counter("falls_total", "How often its probes brought it down.", func(s *census.Server) float64 { return float64(s.Checks.Falls) }),
		ofServers.counter("down_seconds_total", "For how long its probes had it down.", func(s *census.Server) float64 { return s.Checks.Down.Seconds() }),
		ofServers.peak("check_duration_seconds", "How long the last probe took.", func(s *census.Server) float64 { return s.Check.Took.Seconds() }),
	)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// seconds gives a moment as Prometheus writes it, 0 for none.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

// ofProcess is a family with one value.
func ofProcess(kind dto.MetricType, name, help string, read func(p *census.Process) float64) family {
	return family{"loadstar_" + name, help, kind, nil, func(v *view) []*dto.Metric {
		return []*dto.Metric{value(kind, nil, read(&v.Process))}
	}}
}

// ofList is a family with a value for each of what a census lists; read gives
// values of labels, in the order of names, and the numbers to them.
func ofList(kind dto.MetricType, name, help string, names []string, read func(v *view, emit func(n float64, values ...string))) family {
	return family{"loadstar_" + name, help, kind, names, func(v *view) (out []*dto.Metric) {
		read(v, func(n float64, values ...string) {
			pairs := make([]string, 0, 2*len(names))
			for i := range names {
				pairs = append(pairs, names[i], values[i])
			}
			out = append(out, value(kind, labels(pairs...), n))
		})
		return out
	}}
}

func processFamilies() []family {
	const counter, gauge = dto.MetricType_COUNTER, dto.MetricType_GAUGE
	return []family{
		ofList(gauge, "build_info", "1, with what was built.", []string{"version", "goversion"}, func(v *view, emit func(float64, ...string)) {
			emit(1, v.Process.Version, runtime.Version())
		}),
		ofProcess(gauge, "connections", "Open connections of clients.", func(p *census.Process) float64 { return float64(p.Connections.Open) }),
		ofProcess(gauge, "connections_peak", "Connections of clients that were open at a time, at most so far.", func(p *census.Process) float64 { return float64(p.Connections.Max) }),
		ofProcess(gauge, "connections_limit", "How many connections of clients may be open; 0: no limit.", func(p *census.Process) float64 { return float64(p.Connections.Limit) }),
		ofProcess(counter, "connections_accepted_total", "Connections of clients that were accepted.", func(p *census.Process) float64 { return float64(p.Connections.Accepted) }),
		ofProcess(counter, "panics_total", "Exchanges that were ended by a fault of Loadstar's own.", func(p *census.Process) float64 { return float64(p.Panics) }),
		ofProcess(gauge, "config_generation", "The number of the configuration in force, counted from 1.", func(p *census.Process) float64 { return float64(p.Generation) }),
		ofProcess(gauge, "config_generations_draining", "Older configurations that still serve somebody.", func(p *census.Process) float64 { return float64(p.Draining) }),
		ofProcess(gauge, "config_in_force_timestamp_seconds", "When the configuration came into force.", func(p *census.Process) float64 { return seconds(p.Loaded) }),
		ofProcess(gauge, "config_last_load_successful", "Whether the last attempt to load a configuration brought it into force.", func(p *census.Process) float64 { return truth(p.Loads.LastOK) }),
		ofProcess(gauge, "config_last_load_timestamp_seconds", "When that was.", func(p *census.Process) float64 { return seconds(p.Loads.Last) }),
		ofProcess(gauge, "config_last_load_duration_seconds", "How long it took.", func(p *census.Process) float64 { return p.Loads.Took.Seconds() }),
		ofList(counter, "config_loads_total", "Attempts to load a configuration.", []string{"result"}, func(v *view, emit func(float64, ...string)) {
			emit(float64(v.Process.Loads.Failed), "failed")
			emit(float64(v.Process.Loads.Good), "good")
		}),
		ofList(gauge, "certificate_expiry_timestamp_seconds", "When a certificate that is shown to clients expires; 0: there is none yet.", []string{"name", "serial"}, func(v *view, emit func(float64, ...string)) {
			for _, c := range v.Certificates {
				emit(seconds(c.Until), c.Name, c.Serial)
			}
		}),
		ofList(counter, "log_lines_total", "Lines of logs, by what became of them.", []string{"sink", "result"}, func(v *view, emit func(float64, ...string)) {
			for _, s := range v.Sinks {
				emit(float64(s.Delivered), s.Name, "delivered")
				emit(float64(s.Dropped), s.Name, "dropped")
			}
		}),
		ofList(gauge, "log_lines_held", "Lines of logs that wait to be delivered.", []string{"sink"}, func(v *view, emit func(float64, ...string)) {
			for _, s := range v.Sinks {
				emit(float64(s.Held), s.Name)
			}
		}),
		ofList(counter, "trace_spans_total", "Spans that a collector was to be told of, by what became of them.", []string{"collector", "result"}, func(v *view, emit func(float64, ...string)) {
			for _, s := range v.Traces {
				emit(float64(s.Delivered), s.Name, "delivered")
				emit(float64(s.Dropped), s.Name, "dropped")
			}
		}),
		ofList(gauge, "metrics_summed_up", "How many of a kind have no series of their own: they are summed up in the one called other.", []string{"kind"}, func(v *view, emit func(float64, ...string)) {
			emit(summedUp(v.pools), "pool")
			emit(summedUp(v.servers), "server")
			emit(summedUp(v.sites), "site")
		}),
	}
}

// summedUp counts those beyond the limit.
func summedUp[T any](groups []group[T]) (n float64) {
	for _, g := range groups {
		if g.labels[len(g.labels)-1].GetValue() == Other {
			n += float64(len(g.of))
		}
	}
	return n
}
