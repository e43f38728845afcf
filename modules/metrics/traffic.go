package metrics

import (
	dto "github.com/prometheus/client_model/go"

	"github.com/loadstar-lb/loadstar/modules/measure"
)

// What is counted of sites, pools and servers alike.

var byClass = func() split {
	s := split{label: "code"}
	for c := range measure.Class(measure.Classes) {
		s.values = append(s.values, c.String())
	}
	return s
}()

var byFailure = func() split {
	s := split{label: "kind"}
	for f := measure.NoFailure + 1; f < measure.Failures; f++ {
		s.values = append(s.values, f.String())
	}
	return s
}()

// traffic gives the families of what is in a Traffic.
func traffic[T any](o of[T], step int, counts func(*T) *measure.Counts, tr func(*T) *measure.Traffic) []family {
	return []family{
		o.each(dto.MetricType_COUNTER, "exchanges_total", "Exchanges and streams that have ended, by the class of the status; none: streams, and exchanges without an answer.",
			byClass, func(t *T, i int) float64 { return float64(counts(t).Classes[i]) }),
		o.each(dto.MetricType_COUNTER, "failures_total", "Exchanges and streams that have ended with a failure, by its kind.",
			byFailure, func(t *T, i int) float64 { return float64(counts(t).Failures[i+1]) }),
		o.counter("received_bytes_total", "Bytes received from clients, heads included, when the exchange had ended.",
			func(t *T) float64 { return float64(counts(t).BytesIn) }),
		o.counter("sent_bytes_total", "Bytes sent to clients, heads included, when the exchange had ended.",
			func(t *T) float64 { return float64(counts(t).BytesOut) }),
		o.counter("retries_total", "Tries that were repeated.", func(t *T) float64 { return float64(counts(t).Retries) }),
		o.counter("redispatches_total", "Exchanges and streams that went to another server than at first.",
			func(t *T) float64 { return float64(counts(t).Redispatches) }),
		o.peak("active_peak", "Exchanges and streams in progress at a time, at most so far.", func(t *T) float64 { return float64(tr(t).Active.Max()) }),
		o.times("queue_seconds", "Time from asking for a slot of a server to having it.", step, measure.Queue, tr),
		o.times("connect_seconds", "Time to connect to a server; exchanges on a connection that stood already are not in it.", step, measure.Connect, tr),
		o.times("response_seconds", "Time from the connection to the whole head of the server's answer.", step, measure.Response, tr),
		o.times("duration_seconds", "Time from the first byte of the request, or from the accept of the stream, to the end.", step, measure.Total, tr),
	}
}
