package health

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// Key names a monitor across generations: the server, and everything that its
// probes depend on. A server whose probe settings did not change keeps its
// Monitor, and with it the progress of a probe and the cadence.
type Key struct {
	Server upstream.Key
	Probe  string
}

// Monitor probes one server for as long as it is started. Between probes it has
// a timer only, no goroutine.
type Monitor struct {
	Target   Target
	Settings Settings
	Probe    Probe
	Live     *upstream.Live
	Log      *slog.Logger // probe by probe, at debug level; state changes are the pool's to log

	mu      sync.Mutex
	timer   *time.Timer // nil: not running
	stop    context.CancelFunc
	ctx     context.Context
	machine Machine
}

// Start begins to probe after the delay and takes the server over from whatever
// monitor it had. One that is running, kept over a reload, just goes on.
func (m *Monitor) Start(delay time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.timer != nil && m.Live.Owner() == any(m) {
		return
	}
	m.machine = NewMachine(m.Settings.Rise, m.Settings.Fall)
	if n, ok := m.Live.Counter(); ok {
		m.machine.Resume(m.Live.Verdict(), n)
	}
	m.Live.Own(m)
	if m.timer == nil {
		m.ctx, m.stop = context.WithCancel(context.Background())
		m.timer = time.AfterFunc(delay, m.run)
	}
}

// Close ends it; a probe in progress is cut and its result dropped.
func (m *Monitor) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.timer != nil {
		m.timer.Stop()
		m.stop()
		m.timer = nil
	}
	return nil
}

// run does one probe and arms the timer for the next.
func (m *Monitor) run() {
	m.mu.Lock()
	ctx := m.ctx
	m.mu.Unlock()
	begin := time.Now()
	// The connection has min(connect, interval), the answer has the
	// timeout: together they bound the whole of it.
	t := m.Target
	t.Connect = m.Settings.connect(t.Connect)
	one, cancel := context.WithTimeout(ctx, t.Connect+m.Settings.answer())
	r, err := m.Probe.Probe(one, &t)
	cancel()
	took := time.Since(begin)

	m.mu.Lock()
	if m.timer == nil || ctx != m.ctx {
		m.mu.Unlock() // closed meanwhile
		return
	}
	if m.Live.Owner() != any(m) {
		// A newer generation's monitor speaks for the server now, or it
		// wants none. Start may bring this one back.
		m.stop()
		m.timer = nil
		m.mu.Unlock()
		return
	}
	v := m.machine.Note(err == nil)
	n, of := m.machine.Status()
	m.Live.SetCounter(m.machine.Counter)
	next := max(0, m.Settings.Next(&m.machine)-took)
	m.mu.Unlock()

	why := fmt.Sprintf("reason: %s, check duration: %dms", r, took.Milliseconds())
	if m.Log != nil && m.Log.Enabled(ctx, slog.LevelDebug) {
		word := "succeeded"
		if err != nil {
			word = "failed"
		}
		m.Log.Debug(fmt.Sprintf("Health check for server %s %s, %s, status: %d/%d %s.", m.Target.Name, word, why, n, of, v))
	}
	m.Live.Judge(m, v, why)

	// Only now, so that verdicts are told one after another.
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.timer != nil && ctx == m.ctx {
		m.timer.Reset(next)
	}
}

// connect bounds the time to connect by the interval (HAProxy manual, "timeout check").
func (s *Settings) connect(timeout time.Duration) time.Duration {
	if timeout == 0 || timeout > s.Interval {
		return s.Interval
	}
	return timeout
}

// answer is the time for the answer: the interval where nothing was said.
func (s *Settings) answer() time.Duration {
	if s.Timeout == 0 {
		return s.Interval
	}
	return s.Timeout
}
