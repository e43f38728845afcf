//go:build linux

package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// comparison is one run of the bench.
type comparison struct {
	options
	out    io.Writer
	setup  setup
	logs   int // UDP port that swallows log lines
	report report
	ready  []*product
}

// bench runs the whole comparison and prints its table.
func bench(o options, out io.Writer) error {
	dir, err := os.MkdirTemp("", "lbbench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	c := &comparison{options: o, out: out, setup: setup{Dir: dir, Reuse: o.Reuse}}
	c.report = newReport(o)
	if err := c.choose(); err != nil {
		return err
	}
	if err := makeCertificates(dir); err != nil {
		return err
	}
	c.setup.Certificates = dir
	stop, err := c.startOrigin()
	if err != nil {
		return err
	}
	defer stop()
	for _, w := range works(o.Short) {
		if o.Only != "" && !slices.Contains(strings.Split(o.Only, ","), w.Name) {
			continue
		}
		s := c.setup
		s.Key = w.Key
		if w.Log {
			s.Log = c.logs
		}
		c.work(w, s)
	}
	c.report.table(out)
	if o.JSON == "" {
		return nil
	}
	return c.report.write(o.JSON)
}

// choose finds the products that can take part and says which cannot.
func (c *comparison) choose() error {
	caddy := c.Caddy
	if !exists(caddy) {
		caddy = find("caddy")
	}
	for _, p := range products(c.Loadstar, caddy) {
		if c.Products != "" && !slices.Contains(strings.Split(c.Products, ","), p.Name) {
			continue
		}
		if err := p.available(); err != nil {
			_, _ = fmt.Fprintln(c.out, "SKIP:", err)
			continue
		}
		c.ready = append(c.ready, p)
		c.report.Versions[p.Name] = p.version()
	}
	if len(c.ready) == 0 {
		return fmt.Errorf("%w: nothing to compare", errMissing)
	}
	return nil
}

// startOrigin starts the origin on the tools' processor.
func (c *comparison) startOrigin() (stop func(), err error) {
	cmd, err := pinned(toolCPU, "self", "origin")
	if err != nil {
		return nil, err
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	stop = func() {
		_ = in.Close()
		_ = cmd.Wait()
	}
	if _, err := fmt.Fscan(bufio.NewReader(out), &c.setup.OriginH, &c.setup.OriginT, &c.logs); err != nil {
		stop()
		return nil, fmt.Errorf("origin: %w", err)
	}
	return stop, nil
}

// work runs one row: all products are started, then take turns.
func (c *comparison) work(w work, s setup) {
	_, _ = fmt.Fprintf(c.out, "%-10s %s\n", w.Name, w.Doc)
	if w.Plan.Kind == "h2" && find("h2load") == "" {
		_, _ = fmt.Fprintln(c.out, "SKIP: h2load:", errMissing)
		return
	}
	var field []*running
	defer func() {
		for _, r := range field {
			_ = r.Stop(2 * time.Second)
		}
	}()
	for _, p := range c.ready {
		if w.TCP && !p.TCP || w.H3 && !p.H3 {
			continue
		}
		r, err := p.start(s)
		if err != nil {
			c.report.fail(w, p, err)
			_, _ = fmt.Fprintln(c.out, "  FAILED:", err)
			continue
		}
		field = append(field, r)
	}
	rounds := c.Rounds
	if w.idle() {
		rounds = 1 // memory of a process that has already held them says less
	} else {
		for _, r := range field { // warm up
			_, _ = w.round(r, c.Time/4)
		}
	}
	for range rounds {
		for _, r := range field {
			one, err := w.round(r, c.Time)
			if err != nil {
				c.report.fail(w, r.product, err)
				_, _ = fmt.Fprintf(c.out, "  FAILED: %s: %v\n", r.Name, err)
				continue
			}
			c.report.add(w, r.product, one)
		}
	}
}

// child makes the command of a load generator.
func child(p loadPlan) (*exec.Cmd, error) {
	return pinned(toolCPU, append([]string{"self"}, p.args()...)...)
}
