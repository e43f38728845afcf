//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
)

// tally is what the clients have seen.
type tally struct {
	done, kept, lost     atomic.Int64    // requests; kept: those with keep-alive
	by                   [3]atomic.Int64 // requests by protocol, as protocols lists them
	tunnels, cut, echoed atomic.Int64

	mu    sync.Mutex
	kinds map[string]int // what went wrong, how often
}

// fault counts a failure by what it was.
func (t *tally) fault(counter *atomic.Int64, what string) {
	counter.Add(1)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.kinds == nil {
		t.kinds = map[string]int{}
	}
	if len(t.kinds) < 10 || t.kinds[what] > 0 {
		t.kinds[what]++
	}
}

func (t *tally) examples() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []string
	for what, n := range t.kinds {
		all = append(all, fmt.Sprintf("%d × %s", n, what))
	}
	return all
}

var errWrongAnswer = errors.New("wrong answer")

// patience is how long a client waits for anything at all.
const patience = 10 * time.Second

// poster is a client that never repeats a request: what fails is lost.
type poster struct {
	port int
	conn net.Conn
	br   *bufio.Reader
	n    int
}

// post sends one body and expects it back. closing asks for the connection's end.
func (p *poster) post(closing bool) error {
	if p.conn == nil {
		c, err := net.DialTimeout("tcp", rig.Addr(p.port), patience)
		if err != nil {
			return fmt.Errorf("connect: %w", err)
		}
		p.use(c)
	}
	p.n++
	return p.send(strings.Repeat("x", p.n%2000)+strconv.Itoa(p.n), closing)
}

func (p *poster) use(c net.Conn) { p.conn, p.br = c, bufio.NewReader(c) }

// send is post on the connection that there is.
func (p *poster) send(body string, closing bool) error {
	extra := ""
	if closing {
		extra = "Connection: close\r\n"
	}
	_ = p.conn.SetDeadline(time.Now().Add(patience))
	_, err := fmt.Fprintf(p.conn, "POST /echo HTTP/1.1\r\nHost: "+tlsName+"\r\n%sContent-Length: %d\r\n\r\n%s", extra, len(body), body)
	if err != nil {
		return fmt.Errorf("send: %w", err)
	}
	res, err := http.ReadResponse(p.br, nil)
	if err != nil {
		return fmt.Errorf("no answer: %w", err)
	}
	if err := echoed(res, body); err != nil {
		return err
	}
	// A server may end a kept connection only by saying so beforehand.
	if closing || res.Close {
		p.close()
	}
	return nil
}

func (p *poster) close() {
	if p.conn != nil {
		_ = p.conn.Close()
		p.conn = nil
	}
}

// onePost is a request on a connection of its own.
func onePost(port int, t *tally) error {
	p := &poster{port: port}
	defer p.close()
	err := p.post(true)
	if t != nil {
		t.done.Add(1)
	}
	return err
}

// generation asks which configuration is current.
func generation(port int) (int, bool) {
	c, err := net.DialTimeout("tcp", rig.Addr(port), patience)
	if err != nil {
		return 0, false
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(c, "GET /generation HTTP/1.1\r\nHost: soak.example\r\nConnection: close\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, false
	}
	b, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	return n, err == nil
}

// running load; stop ends it and waits.
type soakLoad struct {
	over chan struct{}
	wg   sync.WaitGroup
}

func (l *soakLoad) stop() {
	close(l.over)
	l.wg.Wait()
}

func (l *soakLoad) stopped() bool {
	select {
	case <-l.over:
		return true
	default:
		return false
	}
}

func (s *soak) startLoad() *soakLoad {
	l := &soakLoad{over: make(chan struct{})}
	for range s.Workers {
		l.wg.Go(func() { s.keepPosting(l) })
		l.wg.Go(func() { s.postOnce(l) })
	}
	for i, p := range s.protocols {
		for range s.Workers {
			l.wg.Go(func() { s.keepPostingBy(l, p, i) })
		}
		if p.tunnel == nil {
			continue
		}
		for range s.Tunnels {
			l.wg.Go(func() {
				s.holdTunnel(l, func() (*tunnel, error) { return p.tunnel(s.setup.TLS) }, "WebSocket over "+p.name)
			})
		}
	}
	for range s.Tunnels {
		l.wg.Go(func() { s.holdTunnel(l, s.openWebSocket, "WebSocket") })
		l.wg.Go(func() { s.holdTunnel(l, s.openStream, "TCP") })
	}
	return l
}

// pause keeps the clients from taking the processor from the proxy: the soak
// looks for losses, not for speed.
const pause = 2 * time.Millisecond

func (s *soak) keepPosting(l *soakLoad) {
	p := &poster{port: s.setup.Web}
	defer p.close()
	for !l.stopped() {
		s.tally.done.Add(1)
		s.tally.kept.Add(1)
		if err := p.post(false); err != nil {
			s.tally.fault(&s.tally.lost, "with keep-alive: "+short(err))
			p.close()
		}
		time.Sleep(pause)
	}
}

func (s *soak) postOnce(l *soakLoad) {
	for !l.stopped() {
		if err := onePost(s.setup.Web, &s.tally); err != nil {
			s.tally.fault(&s.tally.lost, "without keep-alive: "+short(err))
		}
		time.Sleep(pause)
	}
}

// short leaves the ports out of a network error, so that equal faults are counted together.
func short(err error) string {
	what, _, _ := strings.Cut(err.Error(), ": ")
	var op *net.OpError
	if errors.As(err, &op) {
		return what + ": " + op.Op + ": " + op.Err.Error()
	}
	return err.Error()
}

// echoed reads an answer, and tells what is wrong with it.
func echoed(res *http.Response, body string) error {
	got, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	switch {
	case err != nil:
		return fmt.Errorf("body: %w", err)
	case res.StatusCode != http.StatusOK:
		return fmt.Errorf("%w: status %d", errWrongAnswer, res.StatusCode)
	case string(got) != body:
		return fmt.Errorf("%w: another body", errWrongAnswer)
	}
	return nil
}
