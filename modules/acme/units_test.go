package acme

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

func TestBackoff(t *testing.T) {
	refused := acme.Problem{Status: http.StatusForbidden, Type: acme.ProblemTypeUnauthorized}
	limited := acme.Problem{Status: http.StatusTooManyRequests, Type: acme.ProblemTypeRateLimited}
	broken := acme.Problem{Status: http.StatusInternalServerError, Type: acme.ProblemTypeServerInternal}
	for name, c := range map[string]struct {
		err        error
		first, end time.Duration
	}{
		"away":    {errors.New("connection refused"), 5 * time.Second, 5 * time.Minute},
		"broken":  {broken, 5 * time.Second, 5 * time.Minute},
		"refused": {refused, time.Minute, 6 * time.Hour},
		"limited": {limited, 15 * time.Minute, 6 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			for attempt, want := range map[int]time.Duration{1: c.first, 2: 2 * c.first, 3: 4 * c.first, 40: c.end, 4000: c.end} {
				for range 20 {
					if got := backoff(attempt, c.err); got > want || got < want*4/5 {
						t.Errorf("attempt %d: %s, want %s less a fifth at most", attempt, got, want)
					}
				}
			}
		})
	}
}

func TestSettingsKey(t *testing.T) {
	base := func() Settings { return Settings{CAs: []CA{{URL: "https://a/", MAC: "secret"}}, KeyType: "p256"} }
	a, same := base(), base()
	if a.Key() != same.Key() || strings.Contains(string(a.Key()), "secret") {
		t.Errorf("%s and %s", a.Key(), same.Key())
	}
	for name, change := range map[string]func(*Settings){
		"email": func(s *Settings) { s.Email = "x" }, "mac": func(s *Settings) { s.CAs[0].MAC = "other" },
		"roots": func(s *Settings) { s.CAs[0].Roots = []byte("x") }, "dns": func(s *Settings) { s.DNS.Program = []string{"x"} },
		"another authority": func(s *Settings) { s.CAs = append(s.CAs, CA{URL: "b"}) }, "ask": func(s *Settings) { s.Ask = "x" },
	} {
		other := base()
		if change(&other); other.Key() == a.Key() {
			t.Errorf("%s does not count", name)
		}
	}
}

// certmagic's lines come out as ours; its small talk is detail.
func TestLog(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelInfo}))
	z := zapTo(log).Named("x").With(zap.String("name", "example.com"))
	z.Info("small talk")
	z.Warn("careful", zap.Strings("names", []string{"a", "b"}))
	z.Error("failed", zap.Error(errors.New("why")))
	slog.New(quiet{log.Handler()}).With("k", "v").WithGroup("g").Info("small talk, too")
	slog.New(quiet{log.Handler()}).Error("its own")
	got := out.String()
	for _, want := range []string{`level=WARN msg=careful name=example.com names="[a b]"`, "level=ERROR msg=failed name=example.com error=why", `level=ERROR msg="its own"`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s lacks %s", got, want)
		}
	}
	if strings.Contains(got, "small talk") {
		t.Error(got)
	}
}

// FuzzChallengeKey: nothing a client sends leads elsewhere in a storage.
func FuzzChallengeKey(f *testing.F) {
	for _, s := range []string{"example.com", "../../accounts/x", "a/b", "a..b", ".", "tok-1", "", "a\x00b", "*.example.com"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for kind, ok := range map[string]bool{"http-01": isToken(s), "tls-alpn-01": isName(s)} {
			key := challengeKey(kind, s)
			if ok && (key != "challenges/"+kind+"/"+s+".json" || !fs.ValidPath(key)) {
				t.Errorf("%q becomes %q", s, key)
			}
		}
	})
}

// Only what is open is answered: to its own host, by GET, and with nothing that a
// path could make of a file name.
func TestChallengeAnswers(t *testing.T) {
	c := NewChallenges()
	if c.Active() {
		t.Error("active without a storage")
	}
	store := NewFiles(t.TempDir())
	detach, again := c.attach(store), c.attach(store)
	s := &solver{all: c, store: store}
	ch := acme.Challenge{Type: acme.ChallengeTypeHTTP01, Token: "tok-1", KeyAuthorization: "tok-1.thumb", Identifier: acme.Identifier{Type: "dns", Value: "example.com"}}
	if err := s.Present(t.Context(), ch); err != nil {
		t.Fatal(err)
	}
	other := NewChallenges() // of another node
	other.attach(store)
	for name, q := range map[string]struct {
		method, host, path string
		ok                 bool
	}{
		"good":         {"GET", "example.com", challengePath + "tok-1", true},
		"other host":   {"GET", "example.net", challengePath + "tok-1", false},
		"method":       {"POST", "example.com", challengePath + "tok-1", false},
		"other token":  {"GET", "example.com", challengePath + "tok-2", false},
		"no token":     {"GET", "example.com", challengePath, false},
		"path":         {"GET", "example.com", challengePath + "../http-01/tok-1", false},
		"escaped":      {"GET", "example.com", challengePath + "%2e%2e", false},
		"long":         {"GET", "example.com", challengePath + strings.Repeat("a", 200), false},
		"elsewhere":    {"GET", "example.com", "/tok-1", false},
		"case of host": {"GET", "EXAMPLE.com", challengePath + "tok-1", true},
	} {
		x := &flow.Exchange{}
		x.Req.Method, x.Req.Host, x.Req.Path = q.method, []byte(q.host), []byte(q.path)
		for node, c := range map[string]*Challenges{"own": c, "other": other} {
			if got, ok := c.Answer(x); ok != q.ok || ok && string(got) != "tok-1.thumb" {
				t.Errorf("%s, %s: %q %t", node, name, got, ok)
			}
		}
	}
	if err := s.CleanUp(t.Context(), ch); err != nil {
		t.Error(err)
	}
	if _, ok := other.http("tok-1"); ok {
		t.Error("answered when it is over")
	}
	ch.Type = acme.ChallengeTypeTLSALPN01
	if err := s.Present(t.Context(), ch); err != nil {
		t.Fatal(err)
	}
	if err := store.Store(t.Context(), "x.json", []byte(`{"identifier":"x","key_authorization":"x"}`)); err != nil {
		t.Fatal(err)
	}
	for node, c := range map[string]*Challenges{"own": c, "other": other} {
		cert, err := c.Certificate(&tls.ClientHelloInfo{ServerName: "Example.com"})
		if err != nil || len(cert.Certificate) != 1 {
			t.Errorf("%s: %v", node, err)
		}
		if _, err := c.Certificate(&tls.ClientHelloInfo{ServerName: "../../x"}); err == nil {
			t.Errorf("%s: a name that is none was answered", node)
		}
	}
	again()
	if detach(); c.Active() {
		t.Error("active after its end")
	}
}
