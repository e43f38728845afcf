package main

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/loadstar-lb/loadstar/cmd/internal/inspect"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/api"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/history"
	"github.com/loadstar-lb/loadstar/dsl"
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

// Load implements api.Process. Loads are done one at a time, from whatever side
// they are asked for.
func (p *process) Load(ctx context.Context, o api.Load) api.Outcome {
	p.loading.Lock()
	defer p.loading.Unlock()
	if ctx.Err() != nil { // who asked has left while waiting
		var list diag.List
		list.Add(diag.Range{}, "cancelled", "the request was withdrawn")
		return api.Outcome{Diagnostics: list}
	}
	if !p.matches(o.IfMatch) {
		return api.Outcome{Err: api.ErrOutdated}
	}
	if o.Dry {
		return p.tryOut(o)
	}
	// Who rolls back ends the wait; a signal has nobody who could be asked.
	if _, waits := p.confirm.Pending(); waits && o.Entry == nil && o.By != bySignal {
		return api.Outcome{Err: api.ErrPending}
	}
	return p.enforce(o)
}

// bySignal is who loads that cannot be asked.
const bySignal = "signal"

// enforce puts a configuration in force. It needs loading.
func (p *process) enforce(o api.Load) api.Outcome {
	if first := p.runtime.Stats().Generation == 0; !first { // it is not ready before it serves
		p.notify.reloading()
		defer p.notify.ready()
	}
	begin := time.Now()
	before, was := p.past.Current()
	got := p.apply(o)
	p.runtime.Tried(begin, got.OK())
	p.warn(got.Diagnostics)
	switch {
	case got.OK():
		p.log.Info("configuration in force", "generation", got.Generation, "number", got.Number, "by", o.By)
	case got.Generation == 0:
		p.log.Error("configuration refused", "errors", len(got.Diagnostics), "first", firstError(got.Diagnostics))
	default:
		p.log.Error("configuration refused; the old one goes on", "errors", len(got.Diagnostics), "first", firstError(got.Diagnostics))
	}
	if !got.OK() {
		return got
	}
	if p.confirm.Drop() {
		p.log.Info("the configuration that waited to be confirmed was replaced")
	}
	if o.Confirm > 0 && was {
		p.await(o, got.Number, before)
	}
	return got
}

// await has a configuration go back to the one before it unless it is confirmed.
func (p *process) await(o api.Load, number uint64, before history.Entry) {
	wait := history.Pending{Number: number, BackTo: before.Number, Deadline: time.Now().Add(o.Confirm).Round(0), By: o.By}
	p.log.Warn("the configuration goes back unless it is confirmed", "within", o.Confirm, "to", before.Number)
	p.confirm.Await(wait, func() error {
		p.loading.Lock()
		defer p.loading.Unlock()
		if now, ok := p.confirm.Pending(); !ok || now.Number != number || p.ending.Load() {
			return nil // another one has come while this waited its turn
		}
		p.log.Warn("the configuration was not confirmed and goes back", "to", before.Number)
		if got := p.enforce(api.Load{Entry: &before, By: "not confirmed: " + o.By, BackFrom: number}); !got.OK() {
			return fmt.Errorf("%s", firstError(got.Diagnostics))
		}
		return nil
	})
}

// read reads and checks what is to be loaded.
func (p *process) read(o api.Load) (string, *config.Config, *dsl.Sources, diag.List) {
	name, src := o.Name, o.Src
	opt := dsl.Options{Vocabulary: vocabulary, Env: os.LookupEnv}
	switch {
	case o.Entry != nil:
		name, src, opt.FS = o.Entry.Name, []byte(o.Entry.Text()), o.Entry.FS()
	case src == nil:
		name = p.file
	}
	if os.Getenv("GOGC") == "" { // see load
		defer debug.SetGCPercent(debug.SetGCPercent(400))
	}
	cfg, sources, found := dsl.Load(name, src, opt)
	if !found.HasErrors() {
		found = inspect.Lint(cfg, sources, found)
	}
	return name, cfg, sources, found
}

// tryOut checks what would be loaded, the graph included, and changes nothing.
func (p *process) tryOut(o api.Load) api.Outcome {
	_, cfg, sources, found := p.read(o)
	if !found.HasErrors() {
		found = append(found, p.runtime.Check(cfg)...)
	}
	return api.Outcome{Generation: p.runtime.Stats().Generation, Diagnostics: found, Sources: sources}
}

// apply puts what is read in force: all of it, or nothing.
func (p *process) apply(o api.Load) api.Outcome {
	name, cfg, sources, found := p.read(o)
	got := api.Outcome{Generation: p.runtime.Stats().Generation, Diagnostics: found, Sources: sources}
	if found.HasErrors() {
		return got
	}
	got.Diagnostics = append(got.Diagnostics, p.prepare(cfg)...)
	if got.Diagnostics.HasErrors() {
		return got
	}
	// The admin endpoint may move: its new address is bound first and given
	// up again if anything is refused.
	addr, explicit, at := adminAddress(cfg)
	commit, abort, err := p.admin.move(addr, explicit)
	if err != nil {
		got.Diagnostics.Add(at, "cannot-listen", "the admin endpoint: %v", err)
		return got
	}
	first := p.runtime.Stats().Generation == 0
	if first { // it is built with what was changed before
		p.keep(cfg)
	}
	number, more := p.runtime.Apply(cfg)
	got.Generation = number
	got.Diagnostics = append(got.Diagnostics, more...)
	if more.HasErrors() {
		abort()
		return got
	}
	commit()
	if !first { // one that is refused must not take the changes elsewhere
		p.keep(cfg)
		got.Generation = p.runtime.Stats().Generation
	}
	p.out.set(p.runtime.Process().Handlers)
	p.mu.Lock()
	p.waits = waitsOf(cfg)
	p.mu.Unlock()
	e := history.NewEntry(name, o.By, sources)
	e.Generation, e.Time, e.Sent, e.BackFrom = got.Generation, time.Now().Round(0), p.sent(o, &e), o.BackFrom
	got.Number = p.past.Add(e)
	return got
}

// keep has what is changed at run time kept where a configuration says.
func (p *process) keep(cfg *config.Config) {
	if err := p.runtime.Overlay().Keep(stateOf(cfg)); err != nil {
		p.log.Error(err.Error())
	}
}
