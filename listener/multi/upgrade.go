package multi

import (
	"bytes"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"errors"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// upgrade makes an extended CONNECT the request that HTTP/1 has for it: GET with
// an Upgrade field (RFC 8441 §5). The key that goes with a WebSocket's is made up
// here, and so is the check of its answer.
func (h *Head) upgrade(r *flow.Request, ended bool) {
	protocol := h.bytes(h.pseudo[pseudoProtocol])
	if len(protocol) == 0 || flow.EqualFold(protocol, "h2c") || flow.EqualFold(protocol, "h2") {
		h.bad("malformed :protocol")
		return
	}
	for _, c := range protocol {
		if c <= ' ' || c >= 0x7f || c == ',' || c == ';' || c == ':' {
			h.bad("malformed :protocol")
			return
		}
	}
	if ended {
		h.bad("CONNECT on a stream that has ended")
		return
	}
	r.Method, r.Upgrade = "GET", protocol
	if !flow.EqualFold(protocol, "websocket") {
		return
	}
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // never fails (crypto/rand)
	var key [24 + len(websocketGUID)]byte
	base64.StdEncoding.Encode(key[:24], raw[:])
	r.Header.DelID(flow.FieldSecWebSocketKey)
	r.Header.AddID(flow.FieldSecWebSocketKey, key[:24])
	copy(key[24:], websocketGUID)
	sum := sha1.Sum(key[:])
	base64.StdEncoding.Encode(h.accept[:], sum[:])
}

// websocketGUID is RFC 6455 §1.3's.
const websocketGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// Tunnels reports whether the answer turns the stream into a tunnel.
func Tunnels(x *flow.Exchange) bool {
	return x.Resp.Status == 101 || x.Req.Method == "CONNECT" && x.Resp.Status/100 == 2
}

var (
	errNotSwitched = errors.New("a server took a request to switch protocols for another one")
	errAccept      = errors.New("a server accepted another WebSocket than was asked for")
)

// Switched checks the answer to an extended CONNECT, where 2xx means that the
// tunnel stands: a server's 2xx of another meaning must not arrive. The client
// then is to get a 502.
func (h *Head) Switched(x *flow.Exchange) *flow.Error {
	r := &x.Resp
	var err error
	switch {
	case !h.Extended:
		return nil
	case r.Status/100 == 2:
		err = errNotSwitched
	case r.Status == 101 && flow.EqualFold(x.Req.Upgrade, "websocket") && !bytes.Equal(r.Header.GetID(flow.FieldSecWebSocketAccept), h.accept[:]):
		err = errAccept
	default:
		return nil
	}
	return &flow.Error{Side: flow.SideServer, Phase: flow.PhaseHeaders, Status: 502, Cause: "invalid answer to an upgrade", Err: err}
}

// Accept gives the Sec-WebSocket-Accept that a server has to answer with.
func (h *Head) Accept() []byte { return h.accept[:] }
