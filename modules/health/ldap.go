package health

import (
	"context"
	"fmt"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
)

var ldapModule = Module{
	Spec: spec.Word{
		Name:    "ldap",
		Doc:     "The server is well if it takes an anonymous bind (LDAPv3)",
		Long:    "The result code must be success (RFC 4511 §4.2). The probe ends with an unbind.",
		Example: "health ldap interval 5s",
	},
	New: func(*config.Node) (Probe, error) { return ldapProbe{}, nil },
}

type ldapProbe struct{}

// The messages in BER (RFC 4511 §4.2, §4.3): bind, version 3, no name, simple
// authentication with no password; and unbind.
const (
	ldapBind   = "\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00"
	ldapUnbind = "\x30\x05\x02\x01\x02\x42\x00"
)

func (ldapProbe) Probe(ctx context.Context, t *Target) (Result, error) {
	s, err := open(ctx, t)
	if err != nil {
		return connectFailed(ctx, err)
	}
	defer s.Close()
	if err = s.say(ldapBind); err != nil {
		return answerFailed(ctx, "Layer7", err)
	}
	body, err := s.element(0x30)
	if err == errBER {
		return failed("Layer7 invalid response", 0, "not LDAPv3 protocol")
	}
	if err != nil {
		return answerFailed(ctx, "Layer7", err)
	}
	id, rest, ok := berElement(body, 0x02)
	bind, _, ok2 := berElement(rest, 0x61)
	code, text, ok3 := berElement(bind, 0x0a)
	if !ok || !ok2 || !ok3 || len(id) != 1 || id[0] != 1 || len(code) != 1 {
		return failed("Layer7 invalid response", 0, "not LDAPv3 protocol")
	}
	if code[0] != 0 {
		_, text, _ = berElement(text, 0x04) // the matched name
		message, _, _ := berElement(text, 0x04)
		return failed("Layer7 wrong status", int(code[0]), string(message))
	}
	s.goodbye(ldapUnbind)
	return passed("Layer7 check passed", 0, "Success"), nil
}

var errBER = fmt.Errorf("not the element that was expected")

// element reads one element of BER with its length in definite form, at most
// maxAnswer bytes.
func (s *session) element(tag byte) ([]byte, error) {
	head, err := s.bytes(2)
	if err != nil {
		return nil, err
	}
	if head[0] != tag {
		return nil, errBER
	}
	n := int(head[1])
	if n >= 0x80 {
		if n -= 0x80; n == 0 || n > 4 {
			return nil, errBER
		}
		long, err := s.bytes(n)
		if err != nil {
			return nil, err
		}
		n = 0
		for _, b := range long {
			n = n<<8 | int(b)
		}
	}
	if n > maxAnswer {
		return nil, errBER
	}
	return s.bytes(n)
}

// berElement cuts an element off b.
func berElement(b []byte, tag byte) (content, rest []byte, ok bool) {
	if len(b) < 2 || b[0] != tag {
		return nil, nil, false
	}
	n, at := int(b[1]), 2
	if n >= 0x80 {
		long := n - 0x80
		if long == 0 || long > 3 || len(b) < 2+long {
			return nil, nil, false
		}
		n = 0
		for _, c := range b[2 : 2+long] {
			n = n<<8 | int(c)
		}
		at += long
	}
	if len(b)-at < n {
		return nil, nil, false
	}
	return b[at : at+n], b[at+n:], true
}
