package transport

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/loadstar-lb/loadstar/listener/flow"
	lh1 "github.com/loadstar-lb/loadstar/listener/http1"
	lh2 "github.com/loadstar-lb/loadstar/listener/http2"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// peer is one HTTP/2 connection to a fake server, which sends what it is told.
type peer struct {
	net.Conn
	*http2.Framer
	t     testing.TB
	block bytes.Buffer
	enc   *hpack.Encoder
	dec   *hpack.Decoder
}

// call is a request as the fake server got it.
type call struct {
	id     uint32
	fields map[string]string
	ended  bool
}

// newServer is a fake HTTP/2 server; each connection follows a script.
func newServer(t testing.TB, settings []http2.Setting, script func(p *peer, n int)) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(guardTime))
				p := &peer{Conn: c, Framer: http2.NewFramer(c, c), t: t, dec: hpack.NewDecoder(4096, nil)}
				p.enc = hpack.NewEncoder(&p.block)
				p.AllowIllegalWrites, p.AllowIllegalReads = true, true
				preface := make([]byte, len(http2.ClientPreface))
				if _, err := io.ReadFull(c, preface); err != nil || string(preface) != http2.ClientPreface {
					t.Errorf("preface %q %v", preface, err)
					return
				}
				_ = p.WriteSettings(settings...)
				script(p, n)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return l
}

// next reads until a frame that is no matter of the connection's; nil at its end.
func (p *peer) next() http2.Frame {
	for {
		f, err := p.ReadFrame()
		if err != nil {
			return nil
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				_ = p.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				_ = p.WritePing(true, f.Data)
			}
		case *http2.WindowUpdateFrame:
		default:
			return f
		}
	}
}

// request reads until the head of a request; nil at the connection's end.
func (p *peer) request() *call {
	for {
		f := p.next()
		if f == nil {
			return nil
		}
		if h, ok := f.(*http2.HeadersFrame); ok {
			fields, err := p.dec.DecodeFull(h.HeaderBlockFragment())
			if err != nil {
				p.t.Errorf("head: %v", err)
			}
			c := &call{id: h.StreamID, fields: map[string]string{}, ended: h.StreamEnded()}
			for _, f := range fields {
				c.fields[f.Name] = f.Value
			}
			return c
		}
	}
}

// body reads the rest of a request.
func (p *peer) body(c *call) string {
	var b bytes.Buffer
	for !c.ended {
		switch f := p.next().(type) {
		case *http2.DataFrame:
			b.Write(f.Data())
			c.ended = f.StreamEnded()
		case nil:
			return b.String()
		}
	}
	return b.String()
}

func (p *peer) head(id uint32, end bool, fields ...string) {
	p.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		_ = p.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	_ = p.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: p.block.Bytes(), EndStream: end, EndHeaders: true})
}

func (p *peer) answer(id uint32, body string) {
	p.head(id, false, ":status", "200")
	_ = p.WriteData(id, true, []byte(body))
}

// drain reads until the connection ends.
func (p *peer) drain() {
	for p.next() != nil {
	}
}

// serves answers every request with the text.
func (p *peer) serves(text string) {
	for c := p.request(); c != nil; c = p.request() {
		p.body(c)
		p.answer(c.id, text)
	}
}

// gate stands before the fake server: clients of both versions, and a transport.
type gate struct {
	*HTTP
	server *upstream.Server
	idle   *Idle
	h1, h2 string // addresses
	tries  int    // that the proxy handler would make
	fault  atomic.Pointer[flow.Error]
}

func newGate(t testing.TB, l net.Listener, timeouts upstream.Timeouts) *gate {
	t.Helper()
	return gateTo(t, &upstream.Server{Network: "tcp", Dial: l.Addr().String(), Timeouts: timeouts, Live: upstream.NewLive(), Protocol: upstream.H2})
}

func gateTo(t testing.TB, s *upstream.Server) *gate {
	t.Helper()
	g := &gate{server: s, idle: NewIdle(0), tries: 1}
	g.HTTP = New([]*upstream.Server{g.server}, func(Key) *Idle { return g.idle })
	t.Cleanup(g.idle.Close)
	g.h1 = g.listen(t, lh1.Server{})
	g.h2 = g.listen(t, lh2.Server{})
	return g
}

func (g *gate) listen(t testing.TB, serve flow.ConnServer) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var source flow.Source
	source.Store(&flow.Binding{Server: g, Generation: flow.NewGeneration(1), Limits: flow.DefaultLimits})
	var mu sync.Mutex
	var wg sync.WaitGroup
	open := map[net.Conn]bool{}
	wg.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[nc] = true
			mu.Unlock()
			wg.Go(func() {
				defer nc.Close()
				serve.ServeConn(&flow.Conn{Conn: nc, Socket: nc.(*net.TCPConn), Accepted: time.Now(), Source: &source})
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for nc := range open {
			_ = nc.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return l.Addr().String()
}

// ServeExchange passes the exchange on, as the proxy handler does.
func (g *gate) ServeExchange(x *flow.Exchange) {
	if x.Fault != nil {
		_ = x.Respond(x.Fault.StatusCode(), "", nil)
		return
	}
	var fault *flow.Error
	for try := 1; ; try++ {
		fault = g.RoundTrip(x, g.server)
		if fault == nil || fault.Begun || try >= g.tries || !Rewind(x) {
			break
		}
	}
	g.fault.Store(fault)
	if fault != nil {
		_ = x.Respond(fault.StatusCode(), "", nil)
		return
	}
	body := x.Resp.Body
	err := x.Start()
	if err == nil {
		err = copyOut(x, body)
	}
	if err != nil {
		if f, ok := err.(*flow.Error); ok {
			g.fault.Store(f)
		}
		x.Abort(err)
	}
	_ = body.Close()
}

func copyOut(x *flow.Exchange, body flow.Body) error {
	for {
		if !body.(interface{ Ready() bool }).Ready() {
			if err := x.Flush(); err != nil {
				return err
			}
		}
		p, err := body.Next()
		if len(p) > 0 {
			if _, err := x.Write(p); err != nil {
				return err
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if tr := body.Trailer(); tr != nil {
		x.Resp.Trailer.CopyFrom(tr)
	}
	return x.Finish()
}

// client gives net/http's client of HTTP/2, or of HTTP/1.
func (g *gate) client(t testing.TB, two bool) (*http.Client, string) {
	tr := &http.Transport{Protocols: new(http.Protocols)}
	addr := g.h1
	if two {
		tr.Protocols.SetUnencryptedHTTP2(true)
		addr = g.h2
	} else {
		tr.Protocols.SetHTTP1(true)
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: guardTime}, "http://" + addr
}

// ask makes a request and gives "status body", or what went wrong.
func ask(c *http.Client, method, url, body string) string {
	var r io.Reader
	if body != "" {
		r = bytes.NewReader([]byte(body))
	}
	req, err := http.NewRequest(method, url, r)
	if err != nil {
		return err.Error()
	}
	resp, err := c.Do(req)
	if err != nil {
		return "no answer: " + err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Sprintf("%d %q broken", resp.StatusCode, b)
	}
	return fmt.Sprintf("%d %s", resp.StatusCode, b)
}
