package main

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/api"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/history"
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/modules"
	lbruntime "github.com/loadstar-lb/loadstar/modules/runtime"
)

func runCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "run",
		Short: "Run in the foreground",
		Long: "Run in the foreground. SIGHUP reads the configuration again, SIGUSR1 opens log files anew, SIGUSR2 starts the program anew and " +
			"hands it the sockets (see upgrade), SIGTERM and SIGINT let what is in progress end and stop, a second one stops at once.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return newProcess(file, c).run()
		},
	}
	configFlag(c, &file)
	return c
}

// process is the running balancer.
type process struct {
	file    string
	cmd     *cobra.Command
	log     *slog.Logger
	out     *fanout
	runtime *lbruntime.Runtime
	admin   *admin
	notify  *notifier
	self    string // the program's file
	inherit *inheritance
	// identity is what the configuration said of user, group and chroot at the start.
	identity string
	unread   bool // the file cannot be read any more, for chroot has put it out of reach
	signals  *signals
	beat     chan struct{}   // the main loop's answer to sigBeat
	busy     atomic.Bool     // the main loop is loading a configuration
	life     context.Context // ends when the process is to stop
	die      context.CancelFunc
	ending   atomic.Bool // it stops, or another process has taken over
	heir     *heir       // that process; written before ending

	past    history.Log
	confirm history.Confirm
	loading sync.Mutex
	mu      sync.Mutex // guards what follows
	waits   waits
}

func newProcess(file string, c *cobra.Command) *process {
	out := newFanout(slog.NewTextHandler(c.ErrOrStderr(), nil))
	p := &process{file: file, cmd: c, out: out, log: slog.New(out), notify: newNotifier(),
		self: self(), inherit: &inheritance{}, beat: make(chan struct{}, 1)}
	p.life, p.die = context.WithCancel(context.Background())
	slog.SetDefault(p.log)
	p.runtime = lbruntime.New(modules.Standard(), p.log)
	p.runtime.Version = versionText()
	p.admin = &admin{control: p, log: p.log}
	return p
}

// run starts, obeys signals, and gives how it ended.
func (p *process) run() error {
	p.signals = catchSignals()
	defer p.signals.stop()
	defer p.die()
	if err := p.start(); err != nil {
		return err
	}
	if every := watchdogInterval(); every > 0 {
		go p.watchdog(every, p.signals, p.life.Done())
	}
	var cut int
	if p.obey(p.signals) == sigLeave {
		p.die()
		cut = p.leave(p.signals)
	} else {
		p.die()
		if !p.ending.CompareAndSwap(false, true) {
			p.orphan()
		}
		p.notify.stopping(p.graceful().delay + p.graceful().grace)
		cut = p.shutdown(p.signals)
	}
	p.admin.Close()
	if cut > 0 {
		p.log.Warn("stopped", "connections_cut", cut)
	} else {
		p.log.Info("stopped")
	}
	return nil
}

// start takes over what there is to take over, and serves.
func (p *process) start() error {
	in, err := inherit()
	if err != nil {
		return err
	}
	first := p.Load(context.Background(), p.takeOver(in))
	if !first.OK() {
		show(p.cmd.ErrOrStderr(), first.Diagnostics, first.Sources)
		in.fails(firstError(first.Diagnostics))
		return verdict(p.file, first.Diagnostics)
	}
	p.log.Info("serving", "version", versionText(), "config", p.file, "listening", p.runtime.Stats().Listening)
	if err := in.serves(); err != nil {
		return err
	}
	for _, addr := range in.sockets.Close() {
		if in.channel == nil {
			p.log.Warn("a socket that systemd opened is wanted by no site", "socket", addr)
		}
	}
	p.notify.ready()
	return nil
}

// maxWarnings bounds how many warnings of one load are logged.
const maxWarnings = 20

// warn logs what the linter and the checker warn of: who reloads by a signal sees
// nothing else.
func (p *process) warn(found diag.List) {
	n := 0
	for _, d := range found {
		if d.Severity != diag.Warning {
			continue
		}
		if n++; n <= maxWarnings {
			p.log.Warn(d.Message, "rule", d.Rule, "at", d.Range.String())
		}
	}
	if n > maxWarnings {
		p.log.Warn("more warnings are not logged; `loadstar check` shows them", "count", n-maxWarnings)
	}
}

// waitsOf reads how long a stop may take.
func waitsOf(cfg *config.Config) waits {
	w := waits{grace: 30 * time.Second}
	if n := config.Last(cfg.Process, "grace"); n != nil {
		w.grace, w.delay, w.retired = time.Duration(n.Int(0)), n.OptionDuration("delay"), n.OptionDuration("retired")
	}
	return w
}

// stateOf gives the directory that a configuration names for what must survive a
// restart, "" if it names none: changes made at run time then die with the process.
func stateOf(cfg *config.Config) string {
	if n := config.Last(cfg.Process, "state"); n != nil && len(n.Args) > 0 {
		return n.Args[0].Path()
	}
	return ""
}

func firstError(list diag.List) string {
	for _, d := range list {
		if d.Severity == diag.Error {
			return d.Error()
		}
	}
	return ""
}

// obey serves signals until one asks to stop, or another process has taken over.
func (p *process) obey(s *signals) order {
	for {
		switch o := s.next(); o {
		case sigReload:
			p.reload()
		case sigReopen:
			p.runtime.Reopen()
		case sigUpgrade:
			go func() { _, _ = p.Upgrade(context.Background()) }() // it logs what becomes of it
		case sigBeat:
			select {
			case p.beat <- struct{}{}:
			default: // nobody has taken the last one
			}
		case sigStop, sigLeave:
			return o
		}
	}
}

// reload reads the file again.
func (p *process) reload() {
	p.busy.Store(true)
	defer p.busy.Store(false)
	if o := p.Load(context.Background(), api.Load{By: "signal"}); !o.OK() {
		show(p.cmd.ErrOrStderr(), o.Diagnostics, o.Sources)
	}
}

// linger gives a balancer in front of this one time to see that `monitor` fails. A
// process that another one has replaced has no need of it.
func (p *process) linger(ctx context.Context, delay time.Duration) {
	if p.heir != nil || delay <= 0 {
		return
	}
	p.runtime.Announce()
	t := time.NewTimer(delay)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// shutdown drains within the grace period; a second signal to stop ends it.
func (p *process) shutdown(s *signals) (cut int) {
	w := p.graceful()
	p.log.Info("stopping", "connections", p.runtime.Stats().Connections, "grace", w.grace, "delay", w.delay)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		for {
			switch s.next() {
			case sigStop:
				cancel()
				return
			case sigEnd:
				return
			}
		}
	}()
	p.linger(ctx, w.delay)
	ctx, cancelGrace := context.WithTimeout(ctx, w.grace)
	defer cancelGrace()
	return p.runtime.Shutdown(ctx)
}
