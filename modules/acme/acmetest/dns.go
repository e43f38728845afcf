package acmetest

import (
	"bufio"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// DNS is a server of names. "test." and "com." are its zones, and TXT records are
// those that were set or stand in File.
type DNS struct {
	Address string // of UDP and of TCP
	Host    net.IP // of all names; 127.0.0.1 unless it is set before anybody asks
	// File, if set, holds lines of "present FQDN VALUE" and "cleanup FQDN VALUE", as
	// a hook writes them down: what was done last counts.
	File string

	mu    sync.Mutex
	txt   map[string][]string
	alias map[string]string
}

// StartDNS starts a server, which ends with the test.
func StartDNS(t testing.TB) *DNS {
	t.Helper()
	d := &DNS{Host: net.IPv4(127, 0, 0, 1), txt: map[string][]string{}, alias: map[string]string{}}
	var l net.Listener
	var p net.PacketConn
	var err error
	for range 20 { // a port that is free for both
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			continue
		}
		if p, err = net.ListenPacket("udp", l.Addr().String()); err == nil {
			break
		}
		_ = l.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	d.Address = l.Addr().String()
	for _, s := range []*dns.Server{{Listener: l, Handler: d}, {PacketConn: p, Handler: d}} {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go func() { _ = s.ActivateAndServe() }()
		<-started
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	return d
}

// Set adds a TXT record; Unset takes it away.
func (d *DNS) Set(fqdn, value string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fqdn = strings.ToLower(fqdn)
	d.txt[fqdn] = append(d.txt[fqdn], value)
}

// Alias has one name stand for another (CNAME).
func (d *DNS) Alias(fqdn, to string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.alias[fqdn] = to
}

// stands gives what a name stands for, itself if for nothing else.
func (d *DNS) stands(fqdn string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if to := d.alias[fqdn]; to != "" {
		return to
	}
	return fqdn
}

// Unset takes all TXT records of a name away.
func (d *DNS) Unset(fqdn string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.txt, strings.ToLower(fqdn))
}

// records gives the TXT records of a name.
func (d *DNS) records(fqdn string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := append([]string(nil), d.txt[fqdn]...)
	if d.File == "" {
		return out
	}
	f, err := os.Open(d.File)
	if err != nil {
		return out
	}
	defer f.Close()
	there := map[string]bool{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if w := strings.Fields(lines.Text()); len(w) >= 3 && strings.EqualFold(w[len(w)-2], fqdn) {
			there[w[len(w)-1]] = w[len(w)-3] == "present"
		}
	}
	for v, ok := range there {
		if ok {
			out = append(out, v)
		}
	}
	return out
}

// ServeDNS implements dns.Handler.
func (d *DNS) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	m := new(dns.Msg)
	m.SetReply(q)
	m.Authoritative = true
	for _, question := range q.Question {
		name := strings.ToLower(question.Name)
		head := dns.RR_Header{Name: question.Name, Class: dns.ClassINET, Ttl: 0, Rrtype: question.Qtype}
		if to := d.stands(name); to != name {
			m.Answer = append(m.Answer, &dns.CNAME{Hdr: dns.RR_Header{Name: question.Name, Class: dns.ClassINET, Rrtype: dns.TypeCNAME}, Target: to})
			name, head.Name = to, to
		}
		apex := name == "test." || name == "com."
		switch {
		case question.Qtype == dns.TypeA && !apex:
			m.Answer = append(m.Answer, &dns.A{Hdr: head, A: d.Host})
		case question.Qtype == dns.TypeTXT:
			for _, v := range d.records(name) {
				m.Answer = append(m.Answer, &dns.TXT{Hdr: head, Txt: []string{v}})
			}
		case question.Qtype == dns.TypeSOA && apex:
			m.Answer = append(m.Answer, &dns.SOA{Hdr: head, Ns: "ns." + name, Mbox: "mail." + name, Serial: 1, Refresh: 1, Retry: 1, Expire: 1})
		case question.Qtype == dns.TypeNS && apex:
			m.Answer = append(m.Answer, &dns.NS{Hdr: head, Ns: "ns." + name})
		}
	}
	_ = w.WriteMsg(m)
}
