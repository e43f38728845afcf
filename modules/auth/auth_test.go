package auth

import (
	"encoding/base64"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

func hash(t testing.TB, password string, cost int) string {
	t.Helper()
	h, err := Hash([]byte(password), cost)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func people(t testing.TB) *Users {
	t.Helper()
	u, err := NewUsers([]User{{"alice", hash(t, "secret", MinCost)}, {"bob", hash(t, "hunter2", MinCost)}}, NewGuard())
	if err != nil {
		t.Fatal(err)
	}
	return u
}

var here = netip.MustParseAddr("192.0.2.1")

func TestVerify(t *testing.T) {
	// Hashes of unlike costs, which a wrong name and a wrong password take the same time for.
	u, err := NewUsers([]User{{"alice", hash(t, "secret", MinCost)}, {"bob", hash(t, "hunter2", MinCost+1)}}, NewGuard())
	if err != nil || u.cost != MinCost+1 {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, password string
		want           Verdict
	}{
		{"alice", "secret", Good}, {"bob", "hunter2", Good}, {"alice", "secret", Good},
		{"alice", "hunter2", Wrong}, {"bob", "secret", Wrong}, {"alice", "", Wrong}, {"", "secret", Wrong},
		{"alic", "esecret", Wrong}, {"Alice", "secret", Wrong}, {"mallory", "secret", Wrong},
	} {
		got, who := u.Verify(here, []byte(c.name), []byte(c.password), nil)
		if got != c.want || got == Good && string(who) != c.name || got != Good && who != nil {
			t.Errorf("%s:%s is %v (%q), want %v", c.name, c.password, got, who, c.want)
		}
	}
}

// A new hash makes the old password worthless at once, although it is remembered.
func TestNewHashForgets(t *testing.T) {
	g := NewGuard()
	for i, c := range []struct {
		hashed string
		want   Verdict
	}{{"old", Good}, {"new", Wrong}} {
		u, err := NewUsers([]User{{"alice", hash(t, c.hashed, MinCost)}}, g)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := u.Verify(here, []byte("alice"), []byte("old"), nil); got != c.want {
			t.Errorf("generation %d: %v, want %v", i, got, c.want)
		}
	}
}

func TestFailuresAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := people(t)
		try := func(from, password string) Verdict {
			v, _ := u.Verify(netip.MustParseAddr(from), []byte("alice"), []byte(password), nil)
			return v
		}
		for i := range maxFailures {
			if v := try("2001:db8::1", "guess"); v != Wrong {
				t.Fatalf("try %d: %v", i, v)
			}
		}
		if v := try("2001:db8::2", "secret"); v != TooMany {
			t.Errorf("a good password at the limit, same /64: %v", v)
		}
		if v := try("2001:db8:0:1::1", "secret"); v != Good {
			t.Errorf("another network: %v", v)
		}
		if v := try("2001:db8::1", "secret"); v != Good {
			t.Errorf("credentials that were good before pass, whoever guesses beside them: %v", v)
		}
		time.Sleep(RetryAfter)
		if a, b := try("2001:db8::1", "guess"), try("2001:db8::1", "guess"); a != Wrong || b != TooMany {
			t.Errorf("after a pause: %v, %v, want one more try", a, b)
		}
	})
}

// Tries at the same time count before they are found to be wrong.
func TestFailuresAtATime(t *testing.T) {
	u := people(t)
	var wait sync.WaitGroup
	var mu sync.Mutex
	got := map[Verdict]int{}
	for range 40 {
		wait.Go(func() {
			v, _ := u.Verify(here, []byte("alice"), []byte("guess"), nil)
			mu.Lock()
			got[v]++
			mu.Unlock()
		})
	}
	wait.Wait()
	// One more may be given back while the others are at it, on a slow machine.
	if got[Wrong] < maxFailures || got[Wrong] > maxFailures+10 || got[Wrong]+got[TooMany] != 40 {
		t.Errorf("%v", got)
	}
}

func TestLimiterIsBounded(t *testing.T) {
	var l limiter
	a := netip.MustParseAddr("10.0.0.0")
	for range 3 * maxAddresses {
		a = a.Next()
		l.take(a)
	}
	if len(l.debts) > maxAddresses {
		t.Errorf("%d addresses are kept", len(l.debts))
	}
}

// The comparison with nothing costs what one with something does: the dummy is a
// hash, at every cost.
func TestDummy(t *testing.T) {
	for cost := MinCost; cost < MinCost+3; cost++ {
		if err := bcrypt.CompareHashAndPassword(dummy(cost), []byte("x")); !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
			t.Errorf("%s: %v", dummy(cost), err)
		}
		if c, err := costOf(string(dummy(cost))); err != nil || c != cost {
			t.Errorf("%s: cost %d, %v", dummy(cost), c, err)
		}
	}
}

func TestBadUsers(t *testing.T) {
	good := hash(t, "secret", MinCost)
	for _, c := range []struct {
		users []User
		want  string
	}{
		{[]User{{"", good}}, "has a name"},
		{[]User{{"a:b", good}}, "colon"},
		{[]User{{"a\x00b", good}}, "control"},
		{[]User{{"a", good}, {"a", good}}, "two users"},
		{[]User{{"a", "hunter2"}}, "password itself"},
		{[]User{{"a", "$argon2id$v=19$m=65536$c2FsdA$aGFzaA"}}, "only bcrypt"},
		{[]User{{"a", strings.Replace(good, "$04$", "$31$", 1)}}, "cost 31"},
		{[]User{{"a", strings.Replace(good, "$04$", "$xx$", 1)}}, "no bcrypt hash"},
	} {
		if _, err := NewUsers(c.users, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.users, err, c.want)
		}
	}
	for _, p := range []string{"", strings.Repeat("x", 73), "a\nb"} {
		if h, err := Hash([]byte(p), MinCost); err == nil {
			t.Errorf("%q is hashed: %s", p, h)
		}
	}
}

var conn = &flow.Conn{Client: netip.AddrPortFrom(here, 1)}

func ask(x *flow.Exchange, field string) {
	x.Begin(conn, nil)
	if field != "" {
		x.Req.Header.Add("Authorization", field)
	}
}

func basic(credentials string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))
}

func TestBasic(t *testing.T) {
	b := NewBasic("Staff \"only\"\r\nX: y", people(t))
	for _, c := range []struct {
		field  string
		status int
	}{
		{basic("alice:secret"), 0}, {"bASIC   " + strings.TrimPrefix(basic("bob:hunter2"), "Basic "), 0},
		{"", 401}, {"Basic", 401}, {"Basic !!!!", 401}, {basic("alice"), 401}, {basic("alice:"), 401}, {basic("alice:secret:x"), 401},
		{"Bearer " + strings.TrimPrefix(basic("alice:secret"), "Basic "), 401},
		{"Basic " + strings.Repeat("A", 4000), 401}, {basic("\x00:\xff"), 401},
	} {
		x := &flow.Exchange{}
		ask(x, c.field)
		err := b.Check(x)
		var e *flow.Error
		switch {
		case c.status == 0:
			if err != nil || len(x.Record.User) == 0 {
				t.Errorf("%s: %v, user %q", c.field, err, x.Record.User)
			}
		case !errors.As(err, &e) || e.StatusCode() != c.status || x.Record.User != nil:
			t.Errorf("%.40s: %v, user %q", c.field, err, x.Record.User)
		default:
			if b.challenge.OnResponse(x); string(x.Resp.Header.Get("WWW-Authenticate")) != `Basic realm="Staff \"only\"X: y", charset="UTF-8"` {
				t.Errorf("challenge %q", x.Resp.Header.Get("WWW-Authenticate"))
			}
		}
		for _, c := range x.Scratch[:cap(x.Scratch)] {
			if c != 0 {
				t.Errorf("%.40s: credentials are left in the scratch room", x.Scratch[:cap(x.Scratch)])
				break
			}
		}
	}
}

// Who has signed in passes without an allocation.
func TestBasicAllocates(t *testing.T) {
	b := NewBasic("r", people(t))
	x := &flow.Exchange{}
	field := basic("alice:secret")
	ask(x, field)
	if err := b.Check(x); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() {
		ask(x, field)
		if b.Check(x) != nil {
			t.Fatal("refused")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkBasicSeen(b *testing.B) {
	a := NewBasic("r", people(b))
	x := &flow.Exchange{}
	ask(x, basic("alice:secret"))
	for b.Loop() {
		if a.Check(x) != nil {
			b.Fatal("refused")
		}
	}
}

func FuzzBasic(f *testing.F) {
	f.Add("Basic YWxpY2U6c2VjcmV0")
	f.Add("basic  Og==")
	f.Add("Basic")
	u, err := NewUsers(nil, NewGuard())
	if err != nil {
		f.Fatal(err)
	}
	b := NewBasic("r", u)
	f.Fuzz(func(t *testing.T, field string) {
		x := &flow.Exchange{}
		ask(x, field)
		if name, _, ok := b.credentials(x, x.Req.Header.Get("Authorization")); ok && strings.Contains(string(name), ":") {
			t.Errorf("%q: the name is %q", field, name)
		}
		if b.Check(x) == nil {
			t.Errorf("%q passes where there are no users", field)
		}
	})
}
