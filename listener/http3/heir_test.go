package http3

import (
	"bytes"
	"net"
	"strings"
	"testing"

	"golang.org/x/net/ipv4"
)

// The tag of a packet's connection is found in both forms of header, and in no packet
// that is too short for one (RFC 8999 §5).
func TestTagOf(t *testing.T) {
	id := "TAGS12345678"
	want := tag([]byte("TAGS"))
	for _, tt := range []struct {
		name, packet string
		ok           bool
	}{
		{"short header", "\x40" + id + "payload", true},
		{"short header, nothing more", "\x40" + id, true},
		{"short header, cut", "\x40" + id[:11], false},
		{"long header", "\xc0\x00\x00\x00\x01\x0c" + id + "\x00", true},
		{"long header, an identifier of another length", "\xc0\x00\x00\x00\x01\x08" + id, false},
		{"long header, cut", "\xc0\x00\x00\x00\x01\x0c" + id[:11], false},
		{"long header, version only", "\xc0\x00\x00\x00\x01", false},
		{"empty", "", false},
	} {
		got, ok := tagOf([]byte(tt.packet))
		if ok != tt.ok || ok && got != want {
			t.Errorf("%s: %q, %v", tt.name, got, ok)
		}
	}
	made, err := ids(want).GenerateConnectionID()
	if err != nil || made.Len() != (ids{}).ConnectionIDLen() || !bytes.HasPrefix(made.Bytes(), want[:]) {
		t.Errorf("%v, %v", made, err)
	}
}

// A packet comes to the predecessor as it came to the heir: its bytes, where it came
// from, and its ancillary data; what is not the heir's is not taken.
func TestPassedOn(t *testing.T) {
	e := Server{}.Endpoint(listenUDP(t), new([64]byte)).(*Endpoint)
	defer e.Close()
	if e.Surrender() {
		t.Error("surrendered without a way for what is passed on")
	}
	links, err := e.Links()
	if err != nil || len(links) != 1 {
		t.Fatalf("%q, %v", links, err)
	}
	heir := Server{}.Endpoint(listenUDP(t), new([64]byte)).(*Endpoint)
	defer heir.Close()
	if err := heir.Succeed(links, nil); err != nil {
		t.Fatal(err)
	}
	if both, err := heir.Links(); err != nil || len(both) != 2 || both[1] != links[0] {
		t.Errorf("the heir's heir would know %q, %v", both, err)
	}
	message := func(data, oob string) ipv4.Message {
		m := ipv4.Message{Buffers: [][]byte{make([]byte, 1500)}, OOB: make([]byte, 128), Addr: &net.UDPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 4711}}
		m.N, m.NN = copy(m.Buffers[0], data), copy(m.OOB, oob)
		return m
	}
	theirs, ours := "\x40"+string(e.pc.own.tag[:])+"12345678 theirs", "\x40"+strings.Repeat("z", 20)
	batch := []ipv4.Message{message(theirs, "ancillary"), message(ours, "o"), message(theirs+"2", "")}
	buffer := &batch[0].Buffers[0][0]
	if n := heir.pc.sort(batch, *heir.pc.older.Load()); n != 1 || string(batch[0].Buffers[0][:batch[0].N]) != ours || string(batch[0].OOB[:batch[0].NN]) != "o" {
		t.Errorf("%d kept, %q", n, batch[0].Buffers[0][:batch[0].N])
	}
	if buffer != &batch[0].Buffers[0][0] {
		t.Error("a buffer has changed its place, by which quic-go knows it")
	}
	stranger, err := net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(e.pc.own.port)})
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	_, _ = stranger.Write([]byte(strings.Repeat("?", 100)))
	for _, want := range []string{theirs, theirs + "2"} {
		into := []ipv4.Message{message("", "")}
		into[0].Addr = nil
		n, err := e.pc.readRelay(into)
		m := into[0]
		if n != 1 || err != nil || string(m.Buffers[0][:m.N]) != want || m.Addr.String() != "192.0.2.7:4711" {
			t.Errorf("%d, %v: %q from %v", n, err, m.Buffers[0][:m.N], m.Addr)
		}
		if want == theirs && string(m.OOB[:m.NN]) != "ancillary" {
			t.Errorf("%q", m.OOB[:m.NN])
		}
	}
	if !e.Surrender() {
		t.Error("not surrendered")
	}
}

func TestParseLink(t *testing.T) {
	good := strings.Repeat("ab", tagLen) + ":" + strings.Repeat("01", keyLen) + ":4711"
	l, err := parseLink(good)
	if err != nil || l.String() != good {
		t.Fatalf("%v, %v", l, err)
	}
	_ = l.conn.Close()
	for _, bad := range []string{"", "a:b:c", good + "0000", good[:len(good)-5], strings.Replace(good, "ab", "xx", 1), strings.Replace(good, "01", "zz", 1)} {
		if _, err := parseLink(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// What comes in on the loopback may be anybody's.
func FuzzOpen(f *testing.F) {
	var key [keyLen]byte
	f.Add(append(key[:], 14, 1, '1', '9', '2', '.', '0', '.', '2', '.', '7', ':', '4', '7', '1', '1', 'o', 'p'))
	f.Add(append(key[:], 255, 255))
	f.Add(append(key[:], 0, 0))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, p []byte) {
		s := &socket{}
		m := ipv4.Message{Buffers: [][]byte{make([]byte, 100)}, OOB: make([]byte, 10)}
		if s.open(p, &m) && (m.N > 100 || m.NN > 10 || m.Addr == nil) {
			t.Errorf("%+v", m)
		}
	})
}
