package explain

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/graph"
)

// way is one request on its way.
type way struct {
	e    *Explainer
	q    *Question
	t    *target
	a    *Answer
	l    *graph.Listener
	conn *flow.Conn
	over bool // the answer is complete
}

// connect makes the connection, with its handshake where there is one.
func (w *way) connect() {
	local, err := netip.ParseAddr(w.t.host)
	if host, _, bad := net.SplitHostPort(w.l.Address); bad == nil && err != nil {
		local, err = netip.ParseAddr(host)
	}
	if err != nil {
		local = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	client := netip.AddrPortFrom(w.q.From, 49152)
	w.conn = &flow.Conn{ID: 1, Client: client, Peer: client, Local: netip.AddrPortFrom(local, w.t.port), Accepted: time.Now()}
	binding := w.l.Binding(flow.NewGeneration(1))
	if binding.TLS == nil {
		w.conn.Hello = &flow.Hello{}
		if w.t.encrypted() || w.q.SNI != "" {
			w.conn.Hello.ServerName = w.q.SNI
			if w.t.scheme == "https" {
				w.conn.Hello.ALPN = []string{"h2", "http/1.1"}
			}
			if w.l.Web() {
				w.stop("the port speaks HTTP in clear, and the client begins with TLS")
			}
		}
		return
	}
	if !w.t.encrypted() && w.q.SNI == "" {
		w.stop("the port speaks TLS, and the client does not")
		return
	}
	if err := w.shake(binding.TLS); err != nil {
		w.stop("the TLS handshake fails: " + err.Error())
	}
}

func (w *way) stop(reason string) {
	w.a.Outcome, w.a.Reason, w.over = Refused, reason, true
}

// shakeTime bounds the handshake, which is with ourselves.
const shakeTime = 5 * time.Second

// shake does the handshake over a pipe. A client certificate that is asked for
// cannot be shown; the rest of the handshake tells enough.
func (w *way) shake(config *tls.Config) error {
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	facts := &flow.TLS{}
	client := tls.Client(theirs, &tls.Config{ //nolint:gosec // it is us that we talk to, and what is shown is judged below
		InsecureSkipVerify: true, ServerName: w.q.SNI, NextProtos: w.protocols(),
	})
	ctx, cancel := context.WithTimeout(flow.WithTLS(context.Background(), facts), shakeTime)
	defer cancel()
	ended := make(chan error, 1)
	server := tls.Server(ours, config)
	go func() {
		err := server.HandshakeContext(ctx)
		if err != nil {
			_ = ours.Close()
		}
		ended <- err
	}()
	clientErr := client.HandshakeContext(ctx)
	if clientErr == nil {
		// In TLS 1.3 the server judges after the client is done.
		go func() { var b [1]byte; _, _ = client.Read(b[:]) }()
	} else {
		_ = theirs.Close()
	}
	err := <-ended
	state := client.ConnectionState()
	if len(state.PeerCertificates) == 0 {
		if clientErr != nil {
			return clientErr
		}
		return err
	}
	if err != nil {
		w.a.Notes = append(w.a.Notes, "the handshake ends without a certificate of the client's: "+err.Error())
	}
	leaf := state.PeerCertificates[0]
	c := &Certificate{
		Names: leaf.DNSNames, Issuer: leaf.Issuer.String(), NotAfter: leaf.NotAfter, ALPN: state.NegotiatedProtocol,
		Version: tls.VersionName(state.Version), Covers: leaf.VerifyHostname(w.name()) == nil,
	}
	for _, ip := range leaf.IPAddresses {
		c.Names = append(c.Names, ip.String())
	}
	w.a.Certificate = c
	facts.ALPN, facts.Version, facts.Cipher = state.NegotiatedProtocol, state.Version, state.CipherSuite
	w.conn.TLS = facts
	return nil
}

func (w *way) protocols() []string {
	if w.t.scheme == "https" {
		return []string{"h2", "http/1.1"}
	}
	return nil
}

// name is whom the client believes to talk to.
func (w *way) name() string {
	if w.q.SNI != "" {
		return w.q.SNI
	}
	return w.t.host
}
