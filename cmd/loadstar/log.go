package main

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
)

// fanout gives Loadstar's own messages to standard error and to the log sinks
// of the configuration in force.
type fanout struct {
	base  slog.Handler
	extra *atomic.Pointer[[]slog.Handler]
	with  []func(slog.Handler) slog.Handler // attributes and groups added since
}

func newFanout(base slog.Handler) *fanout {
	return &fanout{base: base, extra: new(atomic.Pointer[[]slog.Handler])}
}

// set changes the sinks.
func (f *fanout) set(handlers []slog.Handler) { f.extra.Store(&handlers) }

// Enabled asks the base: what people see, sinks see.
func (f *fanout) Enabled(ctx context.Context, l slog.Level) bool { return f.base.Enabled(ctx, l) }

// Handle gives the record to all.
func (f *fanout) Handle(ctx context.Context, r slog.Record) error {
	errs := []error{f.base.Handle(ctx, r.Clone())}
	if extra := f.extra.Load(); extra != nil {
		for _, h := range *extra {
			for _, with := range f.with {
				h = with(h)
			}
			if h.Enabled(ctx, r.Level) {
				errs = append(errs, h.Handle(ctx, r.Clone()))
			}
		}
	}
	return errors.Join(errs...)
}

// WithAttrs adds attributes for all.
func (f *fanout) WithAttrs(attrs []slog.Attr) slog.Handler {
	return f.derive(func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) })
}

// WithGroup opens a group for all.
func (f *fanout) WithGroup(name string) slog.Handler {
	return f.derive(func(h slog.Handler) slog.Handler { return h.WithGroup(name) })
}

func (f *fanout) derive(with func(slog.Handler) slog.Handler) slog.Handler {
	return &fanout{base: with(f.base), extra: f.extra, with: append(f.with[:len(f.with):len(f.with)], with)}
}
