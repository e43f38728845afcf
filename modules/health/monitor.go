package health

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
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
	Agent    bool         // the probe advises rather than judges

	mu      sync.Mutex
	timer   *time.Timer // nil: not running
	stop    context.CancelFunc
	ctx     context.Context
	machine Machine
	notice  string // the last one logged
}

// Start begins to probe after the delay and takes the server over from whatever
// monitor it had. One that is running, kept over a reload, just goes on.
func (m *Monitor) Start(delay time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.timer != nil && m.owns() {
		return
	}
	m.takeOver()
	if m.timer == nil {
		m.ctx, m.stop = context.WithCancel(context.Background())
		m.timer = time.AfterFunc(delay, m.run)
	}
}

// owns reports whether the monitor still speaks for its server.
func (m *Monitor) owns() bool {
	if m.Agent {
		return m.Live.AgentOwner() == any(m)
	}
	return m.Live.Owner() == any(m)
}

// takeOver makes it the one who speaks, from where the one before left it.
func (m *Monitor) takeOver() {
	if m.Agent {
		m.Live.OwnAgent(m)
		return
	}
	m.machine = NewMachine(m.Settings.Rise, m.Settings.Fall)
	m.Live.Own(m)
	if n, ok := m.Live.Counter(); ok {
		m.machine.Resume(m.Live.Verdict(), n)
		return
	}
	m.machine.Begin(m.Settings.Initial)
	m.Live.Presume(m, m.machine.Verdict())
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
	t.Connect, t.Answer = m.Settings.connect(t.Connect), m.Settings.answer()
	one, cancel := context.WithTimeout(ctx, t.Connect+t.Answer)
	r, err := m.Probe.Probe(one, &t)
	cancel()
	took := time.Since(begin)

	m.mu.Lock()
	if m.timer == nil || ctx != m.ctx {
		m.mu.Unlock() // closed meanwhile
		return
	}
	if !m.owns() {
		// A newer generation's monitor speaks for the server now, or it
		// wants none. Start may bring this one back.
		m.stop()
		m.timer = nil
		m.mu.Unlock()
		return
	}
	m.heed(r)
	if !m.Agent {
		m.Live.Checks.Note(upstream.Check{At: flow.Now(), Took: took, Good: err == nil, Text: r.String()})
	}
	next := max(0, m.Settings.Interval-took)
	if m.Agent {
		m.mu.Unlock()
		m.advise(ctx, r, err, took)
	} else {
		v := m.machine.Note(err == nil)
		n, of := m.machine.Status()
		m.Live.SetCounter(m.machine.Counter)
		next = max(0, m.Settings.Next(&m.machine)-took)
		m.mu.Unlock()
		why := fmt.Sprintf("reason: %s, check duration: %dms", r, took.Milliseconds())
		m.debug(ctx, err, fmt.Sprintf("%s, status: %d/%d %s", why, n, of, v))
		m.Live.Judge(m, v, why)
	}

	// Only now, so that verdicts are told one after another.
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.timer != nil && ctx == m.ctx {
		m.timer.Reset(next)
	}
}

// advise passes an agent's words on. One that cannot be reached or understood
// changes nothing.
func (m *Monitor) advise(ctx context.Context, r Result, err error, took time.Duration) {
	m.debug(ctx, err, fmt.Sprintf("reason: %s, check duration: %dms", r, took.Milliseconds()))
	if err == nil && r.Advice != nil {
		m.Live.Advise(m, *r.Advice)
	}
}

func (m *Monitor) debug(ctx context.Context, err error, text string) {
	if m.Log == nil || !m.Log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	kind, word := "Health", "succeeded"
	if m.Agent {
		kind = "Agent"
	}
	if err != nil {
		word = "failed"
	}
	m.Log.Debug(fmt.Sprintf("%s check for server %s %s, %s.", kind, m.Target.Name, word, text))
}

// heed logs a notice, once.
func (m *Monitor) heed(r Result) {
	if r.Notice == "" || r.Notice == m.notice {
		return
	}
	m.notice = r.Notice
	if m.Log != nil {
		m.Log.Warn(fmt.Sprintf("Health check for server %s: %s.", m.Target.Name, r.Notice))
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
