//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// loadPlan is what the load generator is asked to do.
type loadPlan struct {
	Kind    string // get, post, close, idle, echo, bulk, tls-full, tls-resume, tls-get, tls-idle, h2 or h3
	Port    int    // of the proxy, on the loopback address
	Conns   int
	Streams int           // at a time, a connection (h2, h3)
	Size    int64         // of the answer, of the posted body, of a message, of a stream; bytes
	Time    time.Duration // how long new work is started
	Timeout time.Duration // for what is then still under way
}

// loadResult is what it reports, as JSON on its standard output.
type loadResult struct {
	Done     uint64        // answers, messages or streams
	Bytes    int64         // of bodies, messages or streams received
	Errors   uint64        // connections that failed
	First    string        // what the first of them was
	Elapsed  time.Duration // ns
	P50, P99 time.Duration // ns
}

func (p *loadPlan) flags(fs *flag.FlagSet) {
	fs.StringVar(&p.Kind, "kind", "get", "get, post, close, idle, echo, bulk, tls-full, tls-resume, tls-get, tls-idle, h2 or h3")
	fs.IntVar(&p.Port, "port", 0, "port on 127.0.0.1")
	fs.IntVar(&p.Conns, "conns", 1, "connections")
	fs.IntVar(&p.Streams, "streams", 1, "streams at a time on a connection")
	fs.Int64Var(&p.Size, "size", smallBody, "bytes of a body or message")
	fs.DurationVar(&p.Time, "time", time.Second, "how long new work is started")
	fs.DurationVar(&p.Timeout, "timeout", 10*time.Second, "for what is then under way")
}

func (p *loadPlan) args() []string {
	return []string{
		"load", "-kind", p.Kind, "-port", fmt.Sprint(p.Port), "-conns", fmt.Sprint(p.Conns),
		"-streams", fmt.Sprint(p.Streams),
		"-size", fmt.Sprint(p.Size), "-time", p.Time.String(), "-timeout", p.Timeout.String(),
	}
}

// load is one run of the generator.
type load struct {
	*loop
	plan    loadPlan
	res     loadResult
	hist    histogram
	request []byte
	open    int  // connections that are not finished
	ending  bool // no new work
}

// runLoad is the child process that makes load.
func runLoad(plan loadPlan, stdin io.Reader, stdout io.Writer) error {
	switch {
	case plan.Kind == "h2":
		return runH2Load(plan, stdout)
	case plan.Kind == "h3" || strings.HasPrefix(plan.Kind, "tls-"):
		return runCrowd(plan, stdin, stdout)
	}
	l, err := newLoop()
	if err != nil {
		return err
	}
	g := &load{loop: l, plan: plan, request: requestFor(plan)}
	start := time.Now()
	for i := range plan.Conns {
		c := &client{g: g, index: i}
		if err := c.connect(); err != nil {
			return err
		}
		// A flood of SYNs beyond the proxy's backlog would be retried by the
		// kernel a second later and be measured as the proxy's latency.
		if i%64 == 63 {
			if err := l.once(5 * time.Millisecond); err != nil {
				return err
			}
		}
	}
	if plan.Kind == "idle" {
		return g.hold(stdin, stdout)
	}
	for end := start.Add(plan.Time); ; {
		if err := l.once(20 * time.Millisecond); err != nil {
			return err
		}
		if !g.ending && l.now.After(end) {
			g.ending = true
			g.res.Elapsed = l.now.Sub(start)
		}
		if g.ending && (g.open == 0 || l.now.After(end.Add(plan.Timeout))) {
			break
		}
	}
	if plan.Kind == "bulk" { // a stream is counted when it is over
		g.res.Elapsed = l.now.Sub(start)
	}
	g.res.Errors += uint64(g.open)
	g.res.P50, g.res.P99 = g.hist.percentile(0.5), g.hist.percentile(0.99)
	return json.NewEncoder(stdout).Encode(g.res)
}

var errIdle = errors.New("idle connections failed")

// hold waits until each connection has had one answer, says "ready", and keeps
// them open until a line comes or the parent is gone.
func (g *load) hold(stdin io.Reader, stdout io.Writer) error {
	end := time.Now().Add(g.plan.Timeout)
	for g.res.Done < uint64(g.plan.Conns) {
		if err := g.once(20 * time.Millisecond); err != nil {
			return err
		}
		if g.res.Errors > 0 || g.now.After(end) {
			return fmt.Errorf("%w: %d answers of %d, %d errors (%s)",
				errIdle, g.res.Done, g.plan.Conns, g.res.Errors, g.res.First)
		}
	}
	if _, err := fmt.Fprintln(stdout, "ready"); err != nil {
		return err
	}
	_, _ = bufio.NewReader(stdin).ReadString('\n')
	return json.NewEncoder(stdout).Encode(g.res)
}

// requestFor makes the bytes that every connection repeats.
func requestFor(p loadPlan) []byte {
	const common = "Host: bench.example\r\nUser-Agent: lbbench\r\nAccept: */*\r\n"
	switch p.Kind {
	case "post":
		head := fmt.Sprintf("POST /post HTTP/1.1\r\n%sContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n", common, p.Size)
		return append([]byte(head), filler[:p.Size]...)
	case "close":
		return []byte("GET /small HTTP/1.1\r\n" + common + "Connection: close\r\n\r\n")
	case "echo":
		return filler[:p.Size]
	case "bulk":
		return fmt.Appendf(nil, "send %d\n", p.Size)
	default:
		return fmt.Appendf(nil, "GET /bytes/%d HTTP/1.1\r\n%s\r\n", p.Size, common)
	}
}

// fail counts a connection's failure.
func (g *load) fail(what string) {
	g.res.Errors++
	if g.res.First == "" {
		g.res.First = what
	}
}

// finish records one answer.
func (g *load) finish(began time.Time) {
	g.res.Done++
	g.hist.add(time.Since(began))
}

// dial begins a connection to the proxy. The source address varies, so that a
// run of short connections does not use up the ports of one.
func dial(port, index int) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, byte(1 + index%8)}})
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
	}
	if err != nil && err != unix.EINPROGRESS {
		_ = unix.Close(fd)
		return 0, err
	}
	return fd, nil
}
