package matcher

import (
	"testing"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/listener/flow"
)

func TestClientCert(t *testing.T) {
	shown := &flow.Conn{TLS: &flow.TLS{Client: &flow.ClientCert{
		Subject: "CN=ann,O=Example", Issuer: "CN=Root", Serial: "1f", Fingerprint: "ab12", Names: []string{"ann.example.com", "ann@example.com"},
	}}}
	none, clear := &flow.Conn{TLS: &flow.TLS{}}, &flow.Conn{}
	for _, c := range []struct {
		args []string
		want bool
	}{
		{nil, true},
		{[]string{"subject", "*O=Example*"}, true},
		{[]string{"subject", "CN=ann"}, false},
		{[]string{"issuer", "CN=Other", "CN=Root"}, true},
		{[]string{"serial", "1F"}, true},
		{[]string{"fingerprint", "ab*"}, true},
		{[]string{"fingerprint", "~^cd"}, false},
		{[]string{"name", "*@example.com"}, true},
		{[]string{"name", "bob.example.com"}, false},
	} {
		var args []config.Value
		for _, a := range c.args {
			args = append(args, config.Value{Text: a})
		}
		m, err := ClientCert.New(args)
		if err != nil {
			t.Fatal(err)
		}
		x := &flow.Exchange{Conn: shown}
		if got := m.Match(x); got != c.want {
			t.Errorf("%q: %t", c.args, got)
		}
		if n := allocations(func() { m.Match(x) }); n != 0 {
			t.Errorf("%q: %v allocations", c.args, n)
		}
		for _, conn := range []*flow.Conn{none, clear} {
			if m.Match(&flow.Exchange{Conn: conn}) {
				t.Errorf("%q matches a client without certificate", c.args)
			}
		}
		cm, err := ClientCert.NewConn(args)
		if err != nil || (cm.MatchConn(shown) == Yes) != c.want {
			t.Errorf("%q in a stream: %v %v", c.args, cm.MatchConn(shown), err)
		}
	}
	if _, err := ClientCert.New([]config.Value{{Text: "subject"}}); err == nil {
		t.Error("a field without a value is taken")
	}
}
