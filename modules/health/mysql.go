package health

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
)

var mysqlModule = Module{
	Spec: spec.Word{
		Name: "mysql",
		Doc:  "The server is well if it greets, and with `user` if it lets that user in without a password",
		Long: "The user needs no rights: `CREATE USER 'loadstar'@'10.0.0.1'` is enough. Without one the server counts broken connections " +
			"and blocks the probing host in the end (`max_connect_errors`). MariaDB and MySQL are the same here.",
		Example: "health mysql user loadstar",
		Options: []spec.Word{{Name: "user", Doc: "the user to log in as",
			Args: []spec.Arg{{Name: "NAME", Kind: spec.String, Doc: "a user without a password"}}}},
	},
	New: func(n *config.Node) (Probe, error) {
		user := n.OptionText("user")
		if strings.IndexByte(user, 0) >= 0 {
			return nil, fmt.Errorf("a user must not have a zero byte in it")
		}
		return &mysqlProbe{user}, nil
	},
}

type mysqlProbe struct{ user string }

// Capabilities of HandshakeResponse41 (MySQL internals, "Connection Phase").
const (
	mysqlLongPassword = 1
	mysqlProtocol41   = 0x200
	mysqlSecure       = 0x8000
	mysqlPluginAuth   = 0x80000
)

func (p *mysqlProbe) Probe(ctx context.Context, t *Target) (Result, error) {
	s, err := open(ctx, t)
	if err != nil {
		return connectFailed(ctx, err)
	}
	defer s.Close()
	seq, greeting, err := s.packet()
	switch {
	case err != nil:
		return answerFailed(ctx, "Layer7", err)
	case len(greeting) > 0 && greeting[0] == 0xff:
		return mysqlError(greeting)
	case len(greeting) < 6 || greeting[0] != 10 && greeting[0] != 9:
		return failed("Layer7 invalid response", 0, fmt.Sprintf("%q", greeting[:min(len(greeting), 16)]))
	}
	version, _, _ := bytes.Cut(greeting[1:], []byte{0})
	if p.user == "" {
		return passed("Layer7 check passed", 0, "MySQL server is ok, version "+string(version)), nil
	}
	return p.login(ctx, s, seq, string(version))
}

// login answers the greeting with a HandshakeResponse41 without a password.
func (p *mysqlProbe) login(ctx context.Context, s *session, seq byte, version string) (Result, error) {
	b := binary.LittleEndian.AppendUint32(nil, mysqlLongPassword|mysqlProtocol41|mysqlSecure|mysqlPluginAuth)
	b = binary.LittleEndian.AppendUint32(b, 1<<24-1) // the largest packet
	b = append(b, 33)                                // UTF-8
	b = append(b, make([]byte, 23)...)
	b = append(append(b, p.user...), 0, 0) // user, and an empty password
	b = append(append(b, "mysql_native_password"...), 0)
	answer, err := s.exchange(seq+1, b)
	if err == nil && len(answer) > 0 && answer[0] == 0xfe {
		// The server would have another method; an empty password is empty in all.
		answer, err = s.exchange(seq+3, nil)
	}
	switch {
	case err != nil:
		return answerFailed(ctx, "Layer7", err)
	case len(answer) > 0 && answer[0] == 0xff:
		return mysqlError(answer)
	case len(answer) == 0 || answer[0] != 0:
		return failed("Layer7 invalid response", 0, "unexpected answer to the login")
	}
	s.goodbye("\x01\x00\x00\x00\x01") // COM_QUIT
	return passed("Layer7 check passed", 0, "MySQL server is ok, version "+version), nil
}

// packet reads one packet: three bytes of length, a sequence number, a body.
func (s *session) packet() (seq byte, body []byte, err error) {
	head, err := s.bytes(4)
	if err != nil {
		return 0, nil, err
	}
	body, err = s.bytes(int(head[0]) | int(head[1])<<8 | int(head[2])<<16)
	return head[3], body, err
}

func (s *session) send(seq byte, body []byte) error {
	n := len(body)
	_, err := s.Write(append([]byte{byte(n), byte(n >> 8), byte(n >> 16), seq}, body...))
	return err
}

func (s *session) exchange(seq byte, body []byte) ([]byte, error) {
	if err := s.send(seq, body); err != nil {
		return nil, err
	}
	_, answer, err := s.packet()
	return answer, err
}

// mysqlError reads an ERR packet: a code, perhaps "#" and an SQL state, a text.
func mysqlError(b []byte) (Result, error) {
	if len(b) < 3 {
		return failed("Layer7 invalid response", 0, "broken error")
	}
	text := b[3:]
	if len(text) >= 6 && text[0] == '#' {
		text = text[6:]
	}
	return failed("Layer7 wrong status", int(binary.LittleEndian.Uint16(b[1:])), string(text))
}
