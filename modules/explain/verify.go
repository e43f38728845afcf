package explain

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/modules/matcher"
)

// Verdict is what became of one `test` block.
type Verdict struct {
	Name     string   `json:"name"`
	At       string   `json:"at"`
	Passed   bool     `json:"passed"`
	Failures []string `json:"failures,omitempty"`
	Answer   *Answer  `json:"answer,omitempty"`
}

// Verify runs the tests of the configuration, in order.
func (e *Explainer) Verify() []Verdict {
	out := make([]Verdict, 0, len(e.cfg.Tests))
	for i := range e.cfg.Tests {
		out = append(out, e.verify(&e.cfg.Tests[i]))
	}
	return out
}

func (e *Explainer) verify(n *config.Node) (v Verdict) {
	v = Verdict{Name: n.Text(0), At: n.Range.String()}
	fail := func(format string, args ...any) { v.Failures = append(v.Failures, fmt.Sprintf(format, args...)) }
	defer func() { v.Passed = len(v.Failures) == 0 }()
	undo, errs := e.with(config.Find(n.Options, "with"))
	defer undo()
	for _, err := range errs {
		fail("%v", err)
	}
	for _, x := range config.Find(n.Options, "expect") {
		if err := e.exists(x); err != nil {
			fail("it can no longer match: %v", err)
		}
	}
	q, err := question(n)
	if err == nil {
		v.Answer, err = e.Ask(q)
	}
	if err != nil {
		fail("%v", err)
		return v
	}
	for _, x := range config.Find(n.Options, "expect") {
		if why := e.expect(x, v.Answer); why != "" && len(v.Failures) == 0 {
			fail("%s", why)
		}
	}
	return v
}

// with has servers be down; undo ends it.
func (e *Explainer) with(nodes []*config.Node) (undo func(), errs []error) {
	var all []func()
	for _, n := range nodes {
		if one, err := e.Down(n.Text(0)); err != nil {
			errs = append(errs, err)
		} else {
			all = append(all, one)
		}
	}
	return func() {
		for _, one := range all {
			one()
		}
	}, errs
}

// question reads the request of a test.
func question(n *config.Node) (Question, error) {
	q := Question{SNI: n.OptionText("sni")}
	if r := n.Option("request"); r != nil {
		q.Method, q.URL = r.Text(0), r.Text(1)
	}
	if text := n.OptionText("from"); text != "" {
		ip, err := netip.ParseAddr(text)
		if err != nil {
			return q, fmt.Errorf("from takes one address, not %q", text)
		}
		q.From = ip
	}
	for _, h := range config.Find(n.Options, "header") {
		q.Header = append(q.Header, [2]string{h.Text(0), h.Text(1)})
	}
	return q, nil
}

// exists makes sure that what is expected is still there to be met.
func (e *Explainer) exists(x *config.Node) error {
	want := x.Text(0)
	var names []string
	switch x.Variant {
	case "pool":
		for i := range e.cfg.Pools {
			names = append(names, e.cfg.Pools[i].Name)
		}
	case "site":
		for i := range e.cfg.Sites {
			names = append(names, e.cfg.Sites[i].Name)
		}
	case "server":
		for i := range e.cfg.Pools {
			for _, s := range e.graph.Pools[e.cfg.Pools[i].Name].Servers() {
				names = append(names, s.Name, s.Pool+"/"+s.Name)
			}
		}
	default:
		return nil
	}
	for _, n := range names {
		if n == want {
			return nil
		}
	}
	return unknown(x.Variant, want, names)
}

// expect compares; it gives why it is not so, "" if it is.
func (e *Explainer) expect(x *config.Node, a *Answer) string {
	want := x.Text(0)
	became := "it " + a.outcome()
	switch x.Variant {
	case "pool":
		if a.Outcome != Proxied || a.Pool.Name != want {
			return fmt.Sprintf("expected the pool %s, but %s", want, became)
		}
	case "site":
		if a.Site != want {
			return fmt.Sprintf("expected the site %s, but it comes to %s", want, orNone(a.Site))
		}
	case "server":
		return serverOnly(want, a)
	case "status":
		if a.Outcome != Answered || a.Status != int(x.Int(0)) {
			return fmt.Sprintf("expected the status %s, but %s", want, became)
		}
	case "redirect":
		return located(want, a)
	case "header":
		return headed(x, a)
	case "closed":
		if a.Outcome != Closed {
			return "expected the stream to be closed, but " + became
		}
	}
	return ""
}

func serverOnly(want string, a *Answer) string {
	if a.Outcome != Proxied {
		return fmt.Sprintf("expected the server %s, but it %s", want, a.outcome())
	}
	var others []string
	for _, s := range a.Pool.Servers {
		if s.Chance == 0 {
			continue
		}
		if s.Name == want || a.Pool.Name+"/"+s.Name == want {
			if s.Chance > 0.999 {
				return ""
			}
		}
		others = append(others, fmt.Sprintf("%s/%s (%.0f %%)", a.Pool.Name, s.Name, 100*s.Chance))
	}
	return fmt.Sprintf("expected the server %s and no other, but it may be %s", want, strings.Join(others, ", "))
}

func located(want string, a *Answer) string {
	for _, f := range a.Header {
		if strings.EqualFold(f.Name, "location") && a.Outcome == Answered {
			if matches(want, f.Value) {
				return ""
			}
			return fmt.Sprintf("expected a redirection to %s, but it goes to %s", want, f.Value)
		}
	}
	return fmt.Sprintf("expected a redirection to %s, but it %s", want, a.outcome())
}

func headed(x *config.Node, a *Answer) string {
	name, want := x.Text(0), x.Text(1)
	var have []string
	for _, f := range a.Header {
		if strings.EqualFold(f.Name, name) {
			if want == "" || matches(want, f.Value) {
				return ""
			}
			have = append(have, f.Value)
		}
	}
	if len(have) == 0 {
		return fmt.Sprintf("expected a header %s, but there is none", name)
	}
	return fmt.Sprintf("expected a header %s: %s, but it is %s", name, want, strings.Join(have, ", "))
}

func matches(pattern, text string) bool {
	p, err := matcher.NewPattern(pattern, false)
	return err == nil && p.MatchString(text)
}
