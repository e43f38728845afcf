package flow

import (
	"bytes"
	"io"
	"net/netip"
	"strconv"
	"time"
)

// Request is the client's message.
type Request struct {
	Method    string // interned; as sent, case kept
	Scheme    string // "http" or "https"
	Target    []byte // request target to forward: origin form, "*" or an authority (CONNECT); SetTarget changes it
	Authority []byte // as sent, with port
	Host      []byte // of Authority: lower case, without port and trailing dot
	Path      []byte // decoded and normalised, for decisions; see ParseTarget
	Query     []byte // raw, without "?"
	Original  []byte // the target as received, for logs and redirects
	Major     uint8  // 1, 2, 3
	Minor     uint8
	// ContentLength is the body's length; 0 without a body, -1 if unknown
	// (chunked, or an HTTP/2 stream without content-length).
	ContentLength int64
	Header        Header
	Body          Body // never nil
	// Upgrade is the protocol asked for (HTTP/1.1 Upgrade or extended
	// CONNECT), nil if none.
	Upgrade []byte
	// Expect is set while the client waits for a 100 (Continue) that nobody
	// has sent yet. Whoever wants the body sends it (Inform).
	Expect bool
	// Early tells that the request came in early data (TLS 1.3's 0-RTT), so that
	// it may be a copy that an attacker sends again (RFC 8470).
	Early  bool
	target targetScratch
}

// HasBody reports whether a body follows, or may follow.
func (r *Request) HasBody() bool { return r.ContentLength != 0 }

// HostOf gives the host of an authority for lookups: lower case, without port,
// trailing dot and brackets. It copies only what it must change.
func (r *Request) HostOf(authority []byte) []byte {
	h := authority
	if len(h) > 0 && h[0] == '[' {
		if i := bytes.IndexByte(h, ']'); i > 0 {
			h = h[1:i]
		}
	} else if i := bytes.IndexByte(h, ':'); i >= 0 {
		h = h[:i]
	}
	h = bytes.TrimSuffix(h, []byte("."))
	if hasUpper(h) {
		r.target.host = append(r.target.host[:0], h...)
		h = r.target.host
		for i := range h {
			h[i] = lower(h[i])
		}
	}
	return h
}

// Response is the answer, as it will leave.
type Response struct {
	Status        int
	Reason        []byte // HTTP/1 only; nil: the standard one
	ContentLength int64  // -1: unknown; ignored where the status allows no body
	Header        Header
	Trailer       Header
	Upgrade       []byte // of a 101: the protocol switched to
	// Body is what the server's side gives, to be relayed; nil for answers
	// that Loadstar makes itself.
	Body Body
}

// Exchange is one request and its answer.
type Exchange struct {
	Conn *Conn
	Req  Request
	Resp Response
	// Client is who the client is taken for: the address of Conn.Client, or
	// what trusted proxies said in X-Forwarded-For.
	Client netip.Addr
	// Scratch is room for handlers to build a value in; its contents are
	// good for nobody but the handler that runs. Capacity is kept.
	Scratch []byte
	// Record collects what will be logged, Timings among it.
	Record Record
	// Site is what the router put there for handlers further down; opaque here.
	Site any
	// Fault is set by a codec whose client sent what is no request: the
	// Server then only has to answer with its status and log it.
	Fault *Error
	// Stall and Tunnel are the site's timeouts of bodies and of tunnels,
	// 0: the connection's.
	Stall, Tunnel time.Duration
	// Flight is told what carries the exchange to a server; nil: nobody asks.
	Flight    Flight
	ender     Ender
	responder Responder
	hooks     []ResponseHook
	edits     []ResponseHook
	started   bool
	finished  bool
	aborted   bool
	tunnelled bool
}

// Flight is told by transports what would have to be closed to end an exchange
// from outside, and with nil that nothing would any more: before the connection
// can carry another exchange. Closing may happen in any goroutine.
type Flight interface{ Carry(by io.Closer) }

// Ender is told when an exchange is over, tunnel included: the place to log it.
type Ender interface{ EndExchange(x *Exchange) }

// OnEnd names who is told of the end; the last call counts.
func (x *Exchange) OnEnd(e Ender) { x.ender = e }

// End is called by the codec, once, when ServeExchange and a tunnel that it
// started have returned; borrowed bytes die after it. A second call, after a panic
// in the first, does nothing: who counted the exchange out does so once.
func (x *Exchange) End() {
	if e := x.ender; e != nil {
		x.ender = nil
		e.EndExchange(x)
	}
}

// OpenTunnel switches to a byte stream after Start; see Responder.Tunnel.
func (x *Exchange) OpenTunnel(run func(client Stream, early []byte)) {
	x.tunnelled, x.finished = true, true
	x.responder.Tunnel(run)
}

// Tunnelled reports whether the exchange became a tunnel.
func (x *Exchange) Tunnelled() bool { return x.tunnelled }

// Begin readies an exchange for a new message on c. Codecs call it once a
// message, before filling in Req.
func (x *Exchange) Begin(c *Conn, r Responder) {
	clear(x.hooks)
	clear(x.edits)
	x.Client, x.edits = netip.Addr{}, x.edits[:0]
	if c != nil {
		x.Client = c.Client.Addr().Unmap()
	}
	x.Conn, x.responder, x.hooks, x.Site = c, r, x.hooks[:0], nil
	x.Fault, x.Stall, x.Tunnel, x.ender, x.tunnelled, x.Flight = nil, 0, 0, nil, false, nil
	x.started, x.finished, x.aborted = false, false, false
	x.Req.reset()
	x.Resp.Status, x.Resp.Reason, x.Resp.ContentLength, x.Resp.Body, x.Resp.Upgrade = 0, nil, -1, nil, nil
	x.Resp.Header.Reset(nil)
	x.Resp.Trailer.Reset(nil)
	x.Record.reset()
	x.Record.Req, x.Record.Conn = &x.Req, c
}

// Witness is told, while an exchange is served, that its client has left. It is
// called by the goroutine that notices, and must not wait.
type Witness interface{ ClientLeft() }

// OnLeave has w told when the client leaves, at once if it has left already; nil
// takes that back: nobody is told any more when it returns. Only codecs that read
// while an exchange is served can tell (HTTP/2, HTTP/3); with others w is never
// called.
func (x *Exchange) OnLeave(w Witness) {
	if r, ok := x.responder.(interface{ OnLeave(w Witness) }); ok {
		r.OnLeave(w)
	}
}

// Responder gives the codec's responder.
func (x *Exchange) Responder() Responder { return x.responder }

// AddHook has h called before the final head leaves; hooks run in reverse
// order, so that what was added first has the last word.
func (x *Exchange) AddHook(h ResponseHook) { x.hooks = append(x.hooks, h) }

// AddEdit has h called after the hooks, in the order of the calls: what a site
// says of the answer's header is done from top to bottom, as it is written.
func (x *Exchange) AddEdit(h ResponseHook) { x.edits = append(x.edits, h) }

// DropHooks forgets hooks and edits: for the answer after a panic, which may have
// been one of theirs.
func (x *Exchange) DropHooks() { x.hooks, x.edits = x.hooks[:0], x.edits[:0] }

// Started reports whether the final head has been given to the codec.
func (x *Exchange) Started() bool { return x.started }

// Finished reports whether the answer is complete or cut.
func (x *Exchange) Finished() bool { return x.finished || x.aborted }

// Aborted reports whether the answer was cut.
func (x *Exchange) Aborted() bool { return x.aborted }

// Inform sends an interim answer.
func (x *Exchange) Inform(status int, h *Header) error { return x.responder.Inform(status, h) }

// Start runs the hooks and sends the head of the final answer.
func (x *Exchange) Start() error {
	if x.started {
		return nil
	}
	if x.Record.Captures != nil {
		x.captureAnswer()
	}
	for i := len(x.hooks) - 1; i >= 0; i-- {
		x.hooks[i].OnResponse(x)
	}
	for _, h := range x.edits {
		h.OnResponse(x)
	}
	x.started = true
	x.Record.Status = x.Resp.Status
	return x.responder.Start()
}

// Write sends body bytes, after Start.
func (x *Exchange) Write(p []byte) (int, error) {
	n, err := x.responder.Write(p)
	x.Record.BodyOut += int64(n)
	return n, err
}

// Relay relays n bytes of src (all, if n < 0); see Responder.
func (x *Exchange) Relay(src io.Reader, n int64) (int64, error) {
	m, err := x.responder.Relay(src, n)
	x.Record.BodyOut += m
	return m, err
}

// Flush sends what is held back.
func (x *Exchange) Flush() error { return x.responder.Flush() }

// Finish ends the answer. Bytes the exchange showed stay good until End.
func (x *Exchange) Finish() error {
	if x.Finished() {
		return nil
	}
	x.finished = true
	return x.responder.Finish()
}

// Abort cuts the exchange.
func (x *Exchange) Abort(err error) {
	if x.Finished() {
		return
	}
	x.aborted = true
	x.responder.Abort(err)
}

// Respond answers at once with a whole body. Headers that were set on Resp
// before the call are kept.
func (x *Exchange) Respond(status int, contentType string, body []byte) error {
	x.Resp.Status, x.Resp.Reason, x.Resp.ContentLength = status, nil, int64(len(body))
	if contentType != "" && len(body) > 0 && !x.Resp.Header.HasID(FieldContentType) {
		x.Resp.Header.Add("Content-Type", contentType)
	}
	if err := x.Start(); err != nil {
		return err
	}
	if x.Req.Method != "HEAD" && len(body) > 0 {
		if _, err := x.Write(body); err != nil {
			return err
		}
	}
	return x.Finish()
}

func (r *Request) reset() {
	r.Method, r.Scheme = "", ""
	r.Target, r.Authority, r.Host, r.Path, r.Query, r.Original = nil, nil, nil, nil, nil, nil
	r.Major, r.Minor, r.ContentLength = 0, 0, 0
	r.Header.Reset(nil)
	r.Body, r.Upgrade, r.Expect, r.Early = NoBody, nil, false, false
}

// BodyAllowed reports whether an answer with that status to that method may
// carry a body (RFC 9110 §6.4.1).
func BodyAllowed(method string, status int) bool {
	return method != "HEAD" && status >= 200 && status != 204 && status != 304
}

// AppendStatus appends a status as three digits.
func AppendStatus(b []byte, status int) []byte { return strconv.AppendInt(b, int64(status), 10) }
