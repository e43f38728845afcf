package auth

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// Basic asks for a name and a password as RFC 7617 has it.
type Basic struct {
	users     *Users
	challenge *header
}

// header is a field that an answer gets, whoever makes it.
type header struct{ name, value string }

// OnResponse adds the field.
func (h *header) OnResponse(x *flow.Exchange) { h.add(x) }

func (h *header) add(x *flow.Exchange) { x.Resp.Header.Set(h.name, h.value) }

// NewBasic gives what lets the users in, and what tells browsers the realm.
func NewBasic(realm string, users *Users) *Basic {
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, realm))
	return &Basic{users: users, challenge: &header{"WWW-Authenticate", `Basic realm="` + quoted + `", charset="UTF-8"`}}
}

// maxCredentials bounds the length of an Authorization field that is looked at.
const maxCredentials = 1024

// What a request without good credentials is answered with; the flags are those
// of HAProxy's http-request auth.
var (
	errNone    = refusal(401, "no credentials")
	errWrong   = refusal(401, "wrong credentials")
	errTooMany = refusal(429, "too many wrong credentials")
	errBusy    = refusal(503, "too many sign-ins at a time")
)

func refusal(status int, cause string) *flow.Error {
	return &flow.Error{Side: flow.SideProxy, Phase: flow.PhaseRequest, Status: status, Cause: cause}
}

var retryAfter = &header{"Retry-After", strconv.Itoa(int(RetryAfter.Seconds()))}

// Check lets an exchange pass, with Record.User set, or gives the error to answer
// it with. It uses x.Scratch.
func (b *Basic) Check(x *flow.Exchange) error {
	raw := x.Req.Header.GetID(flow.FieldAuthorization)
	name, password, ok := b.credentials(x, raw)
	if !ok {
		wipe(x)
		x.AddEdit(b.challenge)
		return errNone
	}
	v, who := b.users.Verify(x.Client, name, password, x.Scratch[len(x.Scratch):])
	wipe(x)
	switch v {
	case Good:
		x.Record.User = who
		return nil
	case TooMany:
		x.AddEdit(retryAfter)
		return errTooMany
	case Busy:
		x.AddEdit(retryAfter)
		return errBusy
	case Wrong:
	}
	x.AddEdit(b.challenge)
	return errWrong
}

// wipe leaves no password behind for whoever forgets to write before he reads.
func wipe(x *flow.Exchange) {
	clear(x.Scratch)
	x.Scratch = x.Scratch[:0]
}

// credentials takes an Authorization field apart, into x.Scratch.
func (b *Basic) credentials(x *flow.Exchange, raw []byte) (name, password []byte, ok bool) {
	scheme, code, _ := bytes.Cut(raw, []byte(" "))
	code = bytes.Trim(code, " \t")
	if len(raw) > maxCredentials || !flow.EqualFold(scheme, "basic") || len(code) == 0 {
		return nil, nil, false
	}
	x.Scratch = slices.Grow(x.Scratch[:0], 2*len(code)+sealRoom) // Verify's part behind it
	out, err := base64.StdEncoding.AppendDecode(x.Scratch, code)
	x.Scratch = out
	if err != nil {
		return nil, nil, false
	}
	name, password, ok = bytes.Cut(out, []byte(":"))
	return name, password, ok
}
