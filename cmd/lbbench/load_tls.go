//go:build linux

package main

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
)

// The generator of TLS load is plain Go, one goroutine a connection: what it
// costs itself is on another processor than the product, and CPU per unit of the
// product is what counts. All products meet the same client: TLS 1.3, X25519.

// crowd is a load made by goroutines.
type crowd struct {
	plan   loadPlan
	mu     sync.Mutex
	hist   histogram
	res    loadResult
	ending atomic.Bool
}

func (c *crowd) finish(began time.Time, bytes int64) {
	took := time.Since(began)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.res.Done++
	c.res.Bytes += bytes
	c.hist.add(took)
}

// fail counts a failure and tells whether to go on.
func (c *crowd) fail(err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.res.Errors++
	if c.res.First == "" {
		c.res.First = err.Error()
	}
	return c.res.Errors < 1000 && !c.ending.Load()
}

// run has each member work until the time is over.
func (c *crowd) run(member func(index int), stdout io.Writer) error {
	start := time.Now()
	var wg sync.WaitGroup
	for i := range c.plan.Conns {
		wg.Go(func() { member(i) })
	}
	time.Sleep(c.plan.Time)
	c.ending.Store(true)
	elapsed := time.Since(start)
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(c.plan.Timeout):
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.res.Elapsed = elapsed
	c.res.P50, c.res.P99 = c.hist.percentile(0.5), c.hist.percentile(0.99)
	return json.NewEncoder(stdout).Encode(c.res)
}

// runCrowd is the child process for the kinds of load that speak TLS.
func runCrowd(plan loadPlan, stdin io.Reader, stdout io.Writer) error {
	c := &crowd{plan: plan}
	switch plan.Kind {
	case "tls-full":
		return c.run(func(i int) { c.connectEach(i, nil) }, stdout)
	case "tls-resume":
		return c.run(func(i int) { c.connectEach(i, &oneTicket{}) }, stdout)
	case "tls-get":
		return c.run(c.keepAsking, stdout)
	case "tls-idle":
		return c.holdAll(stdin, stdout)
	case "h3":
		return c.run(c.askHTTP3, stdout)
	}
	return fmt.Errorf("%w: load %q", errUsage, plan.Kind)
}

// clientTLS is what every client offers.
func clientTLS(cache tls.ClientSessionCache) *tls.Config {
	return &tls.Config{
		ServerName: tlsName, MinVersion: tls.VersionTLS13, CurvePreferences: []tls.CurveID{tls.X25519},
		InsecureSkipVerify: true, //nolint:gosec // the certificate was made a moment ago, for this run
		ClientSessionCache: cache, SessionTicketsDisabled: cache == nil,
	}
}

// oneTicket keeps the first ticket it gets, so that every later connection
// resumes that session.
type oneTicket struct{ state *tls.ClientSessionState }

func (o *oneTicket) Get(string) (*tls.ClientSessionState, bool) { return o.state, o.state != nil }
func (o *oneTicket) Put(_ string, s *tls.ClientSessionState) {
	if o.state == nil {
		o.state = s
	}
}

var errNotResumed = errors.New("the session was not resumed")

// connectEach makes connection after connection: a handshake, one request, the end.
func (c *crowd) connectEach(index int, tickets *oneTicket) {
	var cfg *tls.Config
	if tickets != nil {
		cfg = clientTLS(tickets)
	} else {
		cfg = clientTLS(nil)
	}
	for first := true; !c.ending.Load(); first = false {
		began := time.Now()
		n, resumed, err := c.oneConnection(index, cfg)
		if err == nil && tickets != nil && !first && !resumed {
			err = errNotResumed
		}
		if err != nil {
			if !c.fail(err) {
				return
			}
			continue
		}
		if tickets == nil || !first {
			c.finish(began, n)
		}
	}
}

func (c *crowd) oneConnection(index int, cfg *tls.Config) (n int64, resumed bool, err error) {
	conn, err := dialTLS(c.plan, index, cfg)
	if err != nil {
		return 0, false, err
	}
	defer func() { _ = conn.NetConn().Close() }()
	_ = conn.SetDeadline(time.Now().Add(c.plan.Timeout))
	if _, err = conn.Write(requestFor(loadPlan{Kind: "close"})); err != nil {
		return 0, false, err
	}
	n, err = readAnswer(bufio.NewReaderSize(conn, 1024))
	return n, conn.ConnectionState().DidResume, err
}

// dialTLS connects from one of eight addresses, so that ports suffice.
func dialTLS(p loadPlan, index int, cfg *tls.Config) (*tls.Conn, error) {
	d := &net.Dialer{Timeout: p.Timeout, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(1+index%8))}}
	raw, err := d.Dial("tcp", rig.Addr(p.Port))
	if err != nil {
		return nil, err
	}
	conn := tls.Client(raw, cfg)
	_ = conn.SetDeadline(time.Now().Add(p.Timeout))
	if err := conn.Handshake(); err != nil {
		_ = raw.Close()
		return nil, err
	}
	return conn, nil
}

// readAnswer reads one answer and gives the length of its body.
func readAnswer(br *bufio.Reader) (int64, error) {
	var head []byte
	for {
		line, err := br.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if len(line) <= 2 {
			break
		}
		head = append(head, line...)
	}
	size, ok := parseAnswerHead(head)
	if !ok {
		return 0, fmt.Errorf("%w: %.120q", errWrongAnswer, head)
	}
	_, err := br.Discard(int(size))
	return size, err
}

// keepAsking sends request after request on one connection.
func (c *crowd) keepAsking(index int) {
	for !c.ending.Load() {
		if err := c.askOn(index); err != nil && !c.fail(err) {
			return
		}
	}
}

func (c *crowd) askOn(index int) error {
	conn, err := dialTLS(c.plan, index, clientTLS(nil))
	if err != nil {
		return err
	}
	defer func() { _ = conn.NetConn().Close() }()
	request := requestFor(loadPlan{Kind: "get", Size: c.plan.Size})
	br := bufio.NewReader(conn)
	for !c.ending.Load() {
		began := time.Now()
		_ = conn.SetDeadline(began.Add(c.plan.Timeout))
		if _, err := conn.Write(request); err != nil {
			return err
		}
		n, err := readAnswer(br)
		if err != nil {
			return err
		}
		c.finish(began, n)
	}
	return nil
}

// holdAll opens all connections, asks once on each, and keeps them until the
// parent says enough.
func (c *crowd) holdAll(stdin io.Reader, stdout io.Writer) error {
	conns := make([]*tls.Conn, c.plan.Conns)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(conns); i = int(next.Add(1)) - 1 {
				conns[i] = c.open(i)
			}
		})
	}
	wg.Wait()
	if c.res.Errors > 0 {
		return fmt.Errorf("%w: %d errors (%s)", errIdle, c.res.Errors, c.res.First)
	}
	if _, err := fmt.Fprintln(stdout, "ready"); err != nil {
		return err
	}
	_, _ = bufio.NewReader(stdin).ReadString('\n')
	for _, conn := range conns {
		_ = conn.NetConn().Close()
	}
	return json.NewEncoder(stdout).Encode(c.res)
}

func (c *crowd) open(index int) *tls.Conn {
	began := time.Now()
	conn, err := dialTLS(c.plan, index, clientTLS(nil))
	if err == nil {
		_, err = conn.Write(requestFor(loadPlan{Kind: "get", Size: c.plan.Size}))
	}
	var n int64
	if err == nil {
		n, err = readAnswer(bufio.NewReaderSize(conn, 256))
	}
	if err != nil {
		c.fail(err)
		return nil
	}
	c.finish(began, n)
	return conn
}
