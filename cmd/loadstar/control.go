package main

import (
	"context"
	"errors"
	"runtime"
	"strconv"
	"strings"

	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/api"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/history"
	"github.com/loadstar-lb/loadstar/dsl"
	"github.com/loadstar-lb/loadstar/listener"
	"github.com/loadstar-lb/loadstar/modules/census"
	"github.com/loadstar-lb/loadstar/modules/explain"
	"github.com/loadstar-lb/loadstar/modules/overlay"
	"github.com/loadstar-lb/loadstar/modules/persistence"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// What the admin endpoint asks of the process; see api.Process. Loads are in
// load.go, upgrades in upgrade.go.

// Status tells how the process is.
func (p *process) Status() api.Status {
	c := p.runtime.Census().Process
	st := api.Status{
		Version: c.Version, PID: c.PID, Generation: c.Generation, Started: c.Started,
		Loaded: c.Loaded, LastLoad: c.Loads.Last, LastLoadOK: c.Loads.LastOK, Loads: c.Loads.Good, LoadsFailed: c.Loads.Failed,
		Connections: c.Connections.Open, Goroutines: runtime.NumGoroutine(), Draining: c.Draining, Changes: p.runtime.Overlay().Len(),
	}
	if wait, ok := p.confirm.Pending(); ok {
		st.Pending = &wait
	}
	return st
}

// Census describes what is running.
func (p *process) Census() *census.Census { return p.runtime.Census() }

// Confirm keeps the configuration that waits to be confirmed.
func (p *process) Confirm() (history.Pending, error) {
	wait, err := p.confirm.Done()
	if err == nil {
		p.log.Info("the configuration was confirmed", "number", wait.Number)
	}
	return wait, err
}

// Pending tells what waits to be confirmed.
func (p *process) Pending() (history.Pending, bool) { return p.confirm.Pending() }

// History gives the configurations that were in force.
func (p *process) History() *history.Log { return &p.past }

// Outline describes the configuration in force, with what was changed at run time.
func (p *process) Outline() (*explain.Outline, error) {
	cfg := p.runtime.Config()
	current, ok := p.past.Current()
	if cfg == nil || !ok {
		return nil, errors.New("no configuration is in force")
	}
	sources := &dsl.Sources{}
	for _, f := range current.Files {
		sources.Add(f.Name, f.Text)
	}
	e, found := explain.New(cfg, sources)
	if e == nil {
		return nil, found
	}
	defer e.Close()
	return e.Outline(), nil
}

// Changes gives what was changed at run time.
func (p *process) Changes() ([]overlay.Listed, []overlay.PoolLines) {
	o := p.runtime.Overlay()
	return o.List(), o.Lines()
}

// Change makes a change at run time.
func (p *process) Change(ctx context.Context, c overlay.Change, ifMatch string) error {
	if ifMatch == "" || ifMatch == "*" {
		return p.runtime.Overlay().Do(ctx, c)
	}
	p.loading.Lock() // no load between the look and the change
	defer p.loading.Unlock()
	version := p.runtime.Overlay().Version()
	if !p.matches(ifMatch) {
		return api.ErrOutdated
	}
	c.If = &version
	return p.runtime.Overlay().Do(ctx, c)
}

// Tag names the state: the configuration by its hash, the changes by their count.
func (p *process) Tag() string {
	e, _ := p.past.Current()
	return `"` + e.Hash[:min(16, len(e.Hash))] + "-" + strconv.FormatUint(p.runtime.Overlay().Version(), 10) + `"`
}

// matches tells whether a header If-Match names the state (RFC 9110 §13.1.1).
func (p *process) matches(ifMatch string) bool {
	if ifMatch == "" || ifMatch == "*" {
		return true
	}
	tag := p.Tag()
	for one := range strings.SplitSeq(ifMatch, ",") {
		if strings.TrimSpace(one) == tag {
			return true
		}
	}
	return false
}

// EachFlight visits what is in flight.
func (p *process) EachFlight(visit func(upstream.FlightInfo)) { upstream.EachFlight(visit) }

// ShutFlights ends what is in flight and chosen.
func (p *process) ShutFlights(choose func(upstream.FlightInfo) bool) int {
	n := upstream.ShutFlights(choose)
	p.log.Info("sessions shut by an operator", "sessions", n)
	return n
}

// EachConn visits the clients' connections.
func (p *process) EachConn(visit func(listener.ConnInfo)) { p.runtime.EachConn(visit) }

// CloseConn closes a client's connection.
func (p *process) CloseConn(id uint64) bool { return p.runtime.CloseConn(id) }

// EachTable visits the tables of persistence.
func (p *process) EachTable(visit func(persistence.TableKey, *persistence.Table)) {
	p.runtime.EachTable(visit)
}

var _ api.Process = (*process)(nil)
