package graph

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/modules/trace"
)

// tracer gives what traces a site's exchanges, nil if they are not.
func (b *builder) tracer(cfg *config.Site) *trace.Tracer {
	n := config.Last(b.cfg.Process, "trace")
	own := config.Last(cfg.Body, "trace")
	if n == nil {
		if own != nil && own.Variant != "off" {
			d := b.errs.Add(own.Range, "trace-without-collector", "this site says how much of it is traced, but nobody is told of traces")
			d.Severity = diag.Warning
			d.Help = append(d.Help, "write `trace otlp URL` in the options block at the top")
		}
		return nil
	}
	s, err := trace.Read(n)
	if err == nil && own != nil {
		if own.Variant == "off" {
			return nil
		}
		if s.Sample, err = trace.ParseShare(own.Text(0)); err != nil {
			n = own
		}
	}
	if err != nil {
		b.fail(n, err)
		return nil
	}
	if b.Dry {
		return nil
	}
	t := &trace.Tracer{Sample: s.Sample}
	t.Exporter, err = b.Shared.Traces.Get(b.Tx, s.Key, func() (*trace.Exporter, error) {
		return trace.Open(s.Key, b.Version, b.Log), nil
	})
	if err != nil {
		b.fail(n, err)
		return nil
	}
	return t
}
