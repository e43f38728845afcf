package main_test

import (
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

const (
	cookieServersHAProxy = `
 balance roundrobin
 server a 127.0.0.1:{a} cookie A
 server b 127.0.0.1:{b} cookie B
 server down 127.0.0.1:{shut} cookie D check inter 100ms rise 1 fall 1`
	cookieServersOurs = `
	balance roundrobin
	health tcp interval 100ms rise 1 fall 1
	server a 127.0.0.1:{a} cookie A health off
	server b 127.0.0.1:{b} cookie B health off
	server down 127.0.0.1:{shut} cookie D
	retry 0 redispatch off`
	plainServerHAProxy = "\n server c 127.0.0.1:{c}"
	plainServerOurs    = "\n\tserver c 127.0.0.1:{c} health off"
)

// cookieSetups has every mode, with every option. Where an option can matter to
// a server without a value, there is one.
func cookieSetups() []setup {
	var out []setup
	for i, m := range []struct{ haproxy, ours string }{
		{"insert", "insert"},
		{"insert indirect", "insert indirect"},
		{"insert indirect nocache", "insert indirect nocache"},
		{"insert preserve", "insert preserve"},
		{"insert postonly", "insert post_only"},
		{"insert httponly secure domain .a.example domain .b.example", "insert httponly secure domain .a.example domain .b.example"},
		{"insert maxidle 100s", "insert max_idle 100s"},
		{"insert maxlife 1000s", "insert max_life 1000s"},
		{"insert indirect maxidle 100s maxlife 1000s", "insert indirect max_idle 100s max_life 1000s"},
		{"rewrite", "rewrite"},
		{"prefix", "prefix"},
	} {
		s := setup{
			name:    fmt.Sprintf("cookie%d", i),
			haproxy: " cookie SRV " + m.haproxy + cookieServersHAProxy,
			ours:    "\tpersist cookie SRV " + m.ours + cookieServersOurs,
		}
		if strings.Contains(m.ours, "httponly") || m.ours == "rewrite" || m.ours == "prefix" || m.ours == "insert" {
			s.haproxy += plainServerHAProxy
			s.ours += plainServerOurs
		}
		out = append(out, s)
	}
	return out
}

// answerAsTold answers 200 with the fields of X-Answer, which are separated by
// number signs, and the name of the server.
func answerAsTold(server string) func(net.Conn, *e2e.Message) bool {
	return func(c net.Conn, m *e2e.Message) bool {
		head := "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Server: " + server + "\r\n"
		for f := range strings.SplitSeq(m.Header.Get("X-Answer"), "#") {
			if f != "" {
				head += f + "\r\n"
			}
		}
		_, err := io.WriteString(c, head+"\r\n")
		return err == nil
	}
}

const dateAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// cookieDate writes a moment as HAProxy's manual says: five base-64 characters
// of units of four seconds.
func cookieDate(offset time.Duration) string {
	units := (time.Now().Add(offset).Unix() + 3) / 4
	out := make([]byte, 5)
	for i := range out {
		out[4-i] = dateAlphabet[units&63]
		units >>= 6
	}
	return string(out)
}

var datesInCookie = regexp.MustCompile(`\|[A-Za-z0-9+/]{5}`)

// steady puts the age of a date, in units of a minute, in its place: the two
// sides are not asked in the same second.
func steady(line string) string {
	return datesInCookie.ReplaceAllStringFunc(line, func(d string) string {
		var units int64
		for _, c := range d[1:] {
			units = units<<6 | int64(strings.IndexRune(dateAlphabet, c))
		}
		age := time.Since(time.Unix(units*4, 0)).Round(time.Minute)
		return fmt.Sprintf("|%s ago", age)
	})
}

func TestOracleCookies(t *testing.T) {
	t.Parallel()
	setups := cookieSetups()
	d := startDuel(t, setups, answerAsTold)
	for _, s := range setups {
		d.warmUp(t, s.name, "SRV=D")
	}
	old := func(ages ...time.Duration) string {
		out := ""
		for _, a := range ages {
			out += "|" + cookieDate(-a)
		}
		return out
	}
	const s = time.Second
	cookies := []string{
		"", "a=1", "SRV=A", "SRV=B", "SRV=D", "SRV=Z", "SRV=", "SRV", "srv=A", "XSRV=A", "SRVX=A",
		"a=1; SRV=A; b=2", "SRV=A; b=2", "a=1; SRV=A", "a=1;SRV=B;b=2", "SRV = A", "SRV=A; SRV=B", "SRV=Z; SRV=B", "SRV=D; SRV=B", "SRV=B; SRV=D",
		"SRV=D; SRV=Z", "SRV=A; SRV=Z; x=y", "SRV=A~own", "SRV=B~own; x=1", "x=1; SRV=Z~own", "SRV=A~", "SRV=~own", "SRV=D~own", "SRV=A~o~wn",
		"SRV=A" + old(0), "SRV=A" + old(40*s), "SRV=A" + old(150*s), "SRV=A" + old(-30*time.Hour), "SRV=A" + old(-3*time.Hour),
		"SRV=A" + old(40*s, 400*s), "SRV=A" + old(40*s, 1200*s), "SRV=A" + old(150*s, 400*s), "SRV=A" + old(150*s, 1200*s),
		"SRV=A|xx", "SRV=A||", "SRV=A|", "SRV=Z" + old(40*s), "SRV=D" + old(40*s), "SRV=A" + old(150*s) + "; SRV=B" + old(0),
		"SRV=A|!!!!!", "SRV=A" + old(0) + "|zz",
	}
	answers := []string{
		"", "ETag: x", "Cache-Control: max-age=5", "Cache-Control: no-store#ETag: x",
		"Set-Cookie: SRV=own; path=/x", "Set-Cookie: SRV = own ;path=/", "Set-Cookie: b=2#Set-Cookie: SRV=own", "Set-Cookie: SRV=", "Set-Cookie: srv=own",
	}
	type row struct{ method, cookie, answer string }
	var rows []row
	for _, c := range cookies {
		rows = append(rows, row{"GET", c, ""})
	}
	for _, a := range answers {
		for _, c := range []string{"", "SRV=A", "SRV=B", "SRV=Z"} {
			rows = append(rows, row{"GET", c, a}, row{"POST", c, a})
		}
	}
	for _, o := range d.origins {
		o.Take() // of warming up
	}
	type outcome struct {
		what, path string
		got        [2]string
	}
	var all []outcome
	for _, set := range setups {
		for _, r := range rows {
			o := outcome{path: d.path(), what: fmt.Sprintf("%s, %s %q answered with %q",
				strings.TrimSpace(strings.Split(set.ours, "\n")[0]), r.method, r.cookie, r.answer)}
			for side := range sides {
				o.got[side] = d.visit(t, d.ports[set.name][side], r.method+" "+o.path, r.cookie, r.answer)
			}
			all = append(all, o)
		}
	}
	var logs [2]map[string]logged
	for side := range sides {
		last := d.path()
		d.visit(t, d.ports[setups[0].name][side], "GET "+last, "", "")
		logs[side] = d.logs(t, side, "GET "+last)
	}
	for _, o := range all {
		for side := range sides {
			l := logs[side][o.path]
			o.got[side] += " log " + l.Server + " " + l.Flags
		}
		known := ""
		if o.got[0] != o.got[1] && o.got[0] == strings.NewReplacer(" = ", "=").Replace(o.got[1]) {
			known = "blanks around the = of a cookie that is passed on stay as they came"
		}
		d.compare(t, o.what, o.got, known)
	}
	d.tally(t)
}

// visit sends one request and tells what reached the server and what came back,
// as far as cookies go.
func (d *duel) visit(t *testing.T, port int, request, cookie, answer string) string {
	t.Helper()
	c := e2e.Dial(t, port)
	defer c.Close()
	text := request + " HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 0\r\n"
	if cookie != "" {
		text += "Cookie: " + cookie + "\r\n"
	}
	if answer != "" {
		text += "X-Answer: " + answer + "\r\n"
	}
	c.Send(text + "\r\n")
	a := c.Answer("GET")
	var sent []string
	for _, o := range d.origins {
		messages, _ := o.Take()
		for _, m := range messages {
			sent = append(sent, m.Header["Cookie"]...)
		}
	}
	return steady(fmt.Sprintf("%d from %s, server got %q, client got %q %q",
		a.Status, a.Header.Get("X-Server"), sent, a.Header["Set-Cookie"], a.Header["Cache-Control"]))
}
