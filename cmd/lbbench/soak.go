//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
)

// soakOptions say how long and how hard.
type soakOptions struct {
	Reloads int
	Every   time.Duration // from one reload to the next
	Workers int           // POST workers with keep-alive, and as many without
	Tunnels int           // WebSockets, and as many TCP tunnels
	Product string
	Program string
}

// soak is a run: load that never stops, and a reload each now and then.
type soak struct {
	soakOptions
	out     io.Writer
	product *soakProduct
	proc    *rig.Process
	setup   soakSetup
	servers *soakServers
	tally   tally
	// protocols are how clients speak to the HTTPS site.
	protocols []*protocol
	first     vitals // before the reloads that count
	last      vitals // after them
	applied   int    // generations that were seen to answer
}

var errSoak = errors.New("the soak found faults")

func soakCommand(args []string) error {
	var o soakOptions
	fs := flag.NewFlagSet("lbbench soak", flag.ContinueOnError)
	fs.IntVar(&o.Reloads, "reloads", 1000, "how many reloads")
	fs.DurationVar(&o.Every, "every", 100*time.Millisecond, "time from one reload to the next")
	fs.IntVar(&o.Workers, "workers", 8, "clients that POST with keep-alive, and as many without")
	fs.IntVar(&o.Tunnels, "tunnels", 8, "WebSocket tunnels, and as many TCP tunnels")
	fs.StringVar(&o.Product, "product", "loadstar", "loadstar, haproxy or nginx")
	fs.StringVar(&o.Program, "program", "", "the program, if not the usual one")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	product := soakProductNamed(o.Product)
	if product == nil {
		return fmt.Errorf("%w: no product %q", errUsage, o.Product)
	}
	if o.Program != "" {
		product.program = o.Program
	}
	s := &soak{soakOptions: o, out: os.Stdout, product: product}
	return s.run()
}

func (s *soak) say(format string, args ...any) { _, _ = fmt.Fprintf(s.out, format+"\n", args...) }

// run is the whole soak, from top to bottom.
func (s *soak) run() error {
	raiseFiles()
	dir, err := os.MkdirTemp("", "lbsoak-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := s.start(dir); err != nil {
		return err
	}
	defer func() { _ = s.proc.Stop(5 * time.Second) }()
	defer s.servers.close()
	if err := s.settle(); err != nil {
		return err
	}
	// The first tenth of the reloads also counts, but fills pools and grows the
	// heap to what the load needs; what is measured against comes after it.
	load := s.startLoad()
	warm := max(s.Reloads/10, 1)
	err = s.reload(0, warm)
	load.stop()
	s.first = s.vitals()
	load = s.startLoad()
	err = errors.Join(err, s.reload(warm, s.Reloads))
	load.stop()
	s.last = s.vitalsLike(s.first)
	return errors.Join(err, s.verdict())
}

// start brings up the servers and the product before them.
func (s *soak) start(dir string) error {
	servers, err := startSoakServers(s.product.checks)
	if err != nil {
		return err
	}
	s.servers = servers
	ports, err := rig.Ports(3)
	if err != nil {
		return err
	}
	s.setup = soakSetup{Dir: dir, Web: ports[0], TCP: ports[1], TLS: ports[2], servers: servers}
	s.protocols = s.product.protocols()
	if err := makeCertificates(dir); err != nil {
		return err
	}
	if err := s.write(0); err != nil {
		return err
	}
	if !exists(s.product.program) {
		return fmt.Errorf("%s: %w", s.product.program, errMissing)
	}
	s.proc, err = rig.Start(s.product.command(s.setup.file(s.product)))
	if err != nil {
		return err
	}
	return s.proc.Answers(15*time.Second, rig.Addr(s.setup.Web), rig.Addr(s.setup.TCP))
}

// write puts a generation's configuration in place, whole or not at all.
func (s *soak) write(generation int) error {
	s.setup.Generation = generation
	name := s.setup.file(s.product)
	if err := os.WriteFile(name+".new", []byte(s.product.config(s.setup)), 0o644); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

func (x soakSetup) file(p *soakProduct) string { return filepath.Join(x.Dir, p.file) }

// settle waits until the dead server has been found out: until then a request
// sent to it is nobody's fault.
func (s *soak) settle() error {
	if !s.product.checks {
		return nil
	}
	clean := 0
	ok := rig.Until(30*time.Second, func() bool {
		before := s.servers.sentToDead.Load()
		_ = onePost(s.setup.Web, nil)
		if clean++; s.servers.sentToDead.Load() != before {
			clean = 0
		}
		return clean >= 50
	})
	if !ok {
		return fmt.Errorf("%w: the dead server was not marked down within 30 s\n%s", errSoak, s.proc.Output())
	}
	s.servers.sentToDead.Store(0)
	return nil
}

// reload makes the generations from one number to another current, one at a time.
func (s *soak) reload(from, to int) error {
	beat := time.NewTicker(s.Every)
	defer beat.Stop()
	seen := -1
	for g := from + 1; g <= to; g++ {
		<-beat.C
		if err := s.write(g); err != nil {
			return err
		}
		if err := s.proc.Signal(s.product.signal); err != nil {
			return fmt.Errorf("reload %d: %w\n%s", g, err, s.proc.Output())
		}
		if now, ok := generation(s.setup.Web); ok && now != seen {
			seen = now
			s.applied++
		}
		if g%100 == 0 {
			s.say("%5d reloads: %d requests, %d lost, %d to the dead server, %d tunnels cut",
				g, s.tally.done.Load(), s.tally.lost.Load(), s.servers.sentToDead.Load(), s.tally.cut.Load())
		}
	}
	if !rig.Until(10*time.Second, func() bool { g, ok := generation(s.setup.Web); return ok && g == to }) {
		return fmt.Errorf("%w: generation %d never became current\n%s", errSoak, to, tail(s.proc.Output()))
	}
	return nil
}

// tail is the last of what a process printed, for an error.
func tail(out string) string {
	lines := strings.SplitAfter(out, "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "")
}

// verdict prints the figures and says whether they are good.
func (s *soak) verdict() error {
	t := &s.tally
	faults := []string{}
	note := func(bad bool, what string) {
		if bad {
			faults = append(faults, what)
		}
	}
	s.say("\n%s, %d reloads, one each %v (%d generations seen by a client in between)", s.product.name, s.Reloads, s.Every, s.applied)
	inClear := t.done.Load()
	for i := range s.protocols {
		inClear -= t.by[i].Load()
	}
	s.say("  POST in clear        %d with keep-alive, %d without", t.kept.Load(), inClear-t.kept.Load())
	for i, p := range s.protocols {
		s.say("  %-20s %d", p.name, t.by[i].Load())
		note(t.by[i].Load() == 0, "no request was made by "+p.name)
	}
	s.say("  lost                 %d", t.lost.Load())
	if s.product.checks {
		s.say("  to the dead server   %d", s.servers.sentToDead.Load())
	} else {
		s.say("  to the dead server   SKIP: %s has no active checks", s.product.name)
	}
	s.say("  tunnels cut          %d of %d (%d messages echoed)", t.cut.Load(), t.tunnels.Load(), t.echoed.Load())
	for _, e := range t.examples() {
		s.say("    %s", e)
	}
	note(t.done.Load() == 0, "no request was made")
	note(t.echoed.Load() == 0, "no message went through a tunnel")
	note(t.lost.Load() > 0, "requests were lost")
	note(s.servers.sentToDead.Load() > 0, "requests went to a server known to be dead")
	note(t.cut.Load() > 0, "tunnels were cut")
	faults = append(faults, s.compareVitals()...)
	if ended, err := s.proc.Ended(); ended {
		faults = append(faults, fmt.Sprintf("the process ended (%v)", err))
	}
	if len(faults) == 0 {
		s.say("  PASS")
		return nil
	}
	return fmt.Errorf("%w: %s", errSoak, strings.Join(faults, "; "))
}
