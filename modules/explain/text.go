package explain

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Text writes an answer for people.
func (a *Answer) Text(w io.Writer) error {
	p := &paper{}
	p.line("request", a.Request+", from "+a.From)
	a.connection(p)
	if a.Site != "" {
		p.line("site", a.Site+"  "+p.faint(a.SiteAt))
	}
	if a.Client != "" {
		p.line("client", a.Client+", whom a trusted proxy named")
	}
	for i := range a.Routes {
		a.Routes[i].text(p, i == 0)
	}
	if a.NotAsked > 0 {
		p.line("", fmt.Sprintf("%d more not asked", a.NotAsked))
	}
	p.line("outcome", a.outcome())
	if a.Pool != nil {
		a.Pool.text(p)
	}
	for i, f := range a.Header {
		title := ""
		if i == 0 {
			title = "header"
		}
		p.line(title, f.Name+": "+f.Value)
	}
	for _, n := range a.Notes {
		p.line("note", n)
	}
	_, err := io.WriteString(w, p.String())
	return err
}

// paper lays out titles and what stands behind them.
type paper struct{ strings.Builder }

func (p *paper) line(title, text string) {
	p.WriteString(strings.TrimRight(fmt.Sprintf("%-12s %s", title, clean(text)), " ") + "\n")
}

func (p *paper) faint(at string) string { return "(" + at + ")" }

// clean keeps what comes from a file or a request from moving the cursor.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '\uFFFD'
		}
		return r
	}, s)
}

func (a *Answer) connection(p *paper) {
	if a.Listener == nil {
		return
	}
	p.line("listener", a.Listener.Address)
	switch c := a.Certificate; {
	case c != nil:
		text := strings.Join(c.Names, ", ") + "; until " + c.NotAfter.UTC().Format(time.DateOnly) + "; issued by " + c.Issuer
		if !c.Covers {
			text += "; NOT for the name that was asked for"
		}
		p.line("certificate", text)
		p.line("", strings.TrimSpace(c.Version+" "+c.ALPN))
	case !a.Listener.TLS:
		p.line("certificate", "none: nothing is decrypted here")
	}
}

func (r *Route) text(p *paper, first bool) {
	title, mark := "", "  no "
	if first {
		title = "routes"
	}
	switch {
	case r.Skipped:
		mark = "  -- "
	case r.Taken:
		mark = " yes "
	}
	indent := strings.Repeat("    ", r.Depth)
	text := mark + indent + r.Text + "  " + p.faint(r.At)
	if r.Skipped {
		text += " another group has run"
	}
	p.line(title, text)
	if r.Condition != nil {
		r.Condition.text(p, "       "+indent)
	}
	if r.Effect != "" {
		p.line("", "       "+indent+"=> "+r.Effect)
	}
}

func (c *Condition) text(p *paper, indent string) {
	result := map[bool]string{true: "true ", false: "false"}[c.Result]
	if c.Op != "test" {
		p.line("", indent+result+"  "+c.Op)
		for i := range c.Kids {
			c.Kids[i].text(p, indent+"    ")
		}
		return
	}
	word, _, _ := strings.Cut(c.Text, " ")
	text := indent + result + "  " + c.Text
	if c.Value != "" {
		text += "  | " + word + " is " + c.Value
	}
	if c.By != "" {
		text += ", by " + c.By
	}
	p.line("", text)
}

func (a *Answer) outcome() string {
	var text string
	switch a.Outcome {
	case Proxied:
		text = "goes to the pool " + a.Pool.Name
		if a.Target != "" {
			text += ", for " + a.Target
		}
	case Answered:
		text = fmt.Sprintf("is answered here with %d", a.Status)
	case Closed:
		text = "is closed"
	default:
		text = "is refused"
	}
	if a.Reason != "" {
		text += ": " + a.Reason
	}
	return text
}

func (l *Pool) text(p *paper) {
	p.line("pool", l.Name+", "+l.Balance)
	if l.Persist != "" {
		found := "; the request names no server"
		if l.Found != "" {
			found = "; it names " + l.Found
		}
		p.line("", l.Persist+found)
	}
	wide := 0
	for _, s := range l.Servers {
		wide = max(wide, len(s.Name))
	}
	for i, s := range l.Servers {
		title := ""
		if i == 0 {
			title = "servers"
		}
		text := fmt.Sprintf("%5.1f %%  %-*s  %s  weight %d", 100*s.Chance, wide, s.Name, s.Address, s.Weight)
		if s.Why != "" {
			text += "  " + s.Why
		}
		p.line(title, text)
	}
}
