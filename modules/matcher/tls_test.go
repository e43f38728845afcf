package matcher

import (
	"crypto/tls"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/listener/flow"
)

func TestTLS(t *testing.T) {
	spoken := &flow.Conn{TLS: &flow.TLS{ServerName: "a.example", Version: tls.VersionTLS13, Cipher: tls.TLS_AES_128_GCM_SHA256, Resumed: true}}
	fresh := &flow.Conn{TLS: &flow.TLS{Version: tls.VersionTLS12, Cipher: tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}}
	for _, c := range []struct {
		text          string
		spoken, fresh bool
		bad           string
	}{
		{"version TLSv1.3", true, false, ""},
		{"version TLSv1.*", true, true, ""},
		{"version TLSv1.2 TLSv1.3", true, true, ""},
		{"version TLSv1.1", false, false, "no version"},
		{"version", false, false, "missing"},
		{"cipher TLS_AES_*", true, false, ""},
		{"cipher *_RSA_*", false, true, ""},
		{"cipher nonsense", false, false, "no cipher suite"},
		{"sni *.EXAMPLE", true, false, ""},
		{"sni *", true, false, ""},
		{"resumed", true, false, ""},
		{"resumed yes", false, false, "takes no value"},
		{"", false, false, "missing"},
	} {
		var args []config.Value
		for _, w := range strings.Fields(c.text) {
			args = append(args, config.Value{Text: w})
		}
		m, err := TLS.New(args)
		if c.bad != "" {
			if err == nil || !strings.Contains(err.Error(), c.bad) {
				t.Errorf("%q: %v, want %q", c.text, err, c.bad)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		for conn, want := range map[*flow.Conn]bool{spoken: c.spoken, fresh: c.fresh, {}: false} {
			if got := m.Match(&flow.Exchange{Conn: conn}); got != want {
				t.Errorf("%q on %+v: %t", c.text, conn.TLS, got)
			}
		}
		x := &flow.Exchange{Conn: spoken}
		if n := allocations(func() { m.Match(x) }); n != 0 {
			t.Errorf("%q: %v allocations", c.text, n)
		}
		cm, err := TLS.NewConn(args)
		if strings.HasPrefix(c.text, "sni") {
			if err == nil {
				t.Errorf("%q of streams is taken", c.text)
			}
			continue
		}
		if err != nil || cm.MatchConn(spoken) != verdict(c.spoken) {
			t.Errorf("%q of a stream: %v", c.text, err)
		}
	}
}
