package handler

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// pieces is a body that comes in pieces, and ends with err.
type pieces struct {
	left   [][]byte
	err    error
	closed bool
}

func (p *pieces) Next() ([]byte, error) {
	if p.closed {
		return nil, flow.ErrAborted
	}
	if len(p.left) == 0 {
		return nil, p.err
	}
	v := p.left[0]
	p.left = p.left[1:]
	return v, nil
}

func (p *pieces) Read(b []byte) (int, error) {
	if p.closed || len(p.left) == 0 {
		_, err := p.Next()
		return 0, err
	}
	n := copy(b, p.left[0])
	if p.left[0] = p.left[0][n:]; len(p.left[0]) == 0 {
		p.left = p.left[1:]
	}
	return n, nil
}

func (p *pieces) Ready() bool           { return len(p.left) > 0 }
func (p *pieces) Trailer() *flow.Header { return nil }
func (p *pieces) Close() error          { p.closed = true; return nil }

func kept(limit int64, err error, parts ...string) *replay {
	p := &pieces{err: err}
	for _, s := range parts {
		p.left = append(p.left, []byte(s))
	}
	return &replay{src: p, limit: limit}
}

// Whenever a body says that it can be sent again, all of it is sent again.
func TestReplayModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	again := 0
	for range 5000 {
		var parts []string
		whole := ""
		for range rnd.IntN(5) {
			s := string(bytes.Repeat([]byte{byte('a' + rnd.IntN(26))}, 1+rnd.IntN(9)))
			parts, whole = append(parts, s), whole+s
		}
		b := kept(int64(rnd.IntN(40)), io.EOF, parts...)
		got, ended := "", false
		for range 40 {
			switch rnd.IntN(8) {
			case 0:
				if b.Rewind() {
					got, ended = "", false
					again++
				}
			case 1, 2, 3:
				room := make([]byte, 1+rnd.IntN(6))
				n, err := b.Read(room)
				got += string(room[:n])
				ended = ended || err == io.EOF
			default:
				v, err := b.Next()
				got += string(v)
				ended = ended || err == io.EOF
			}
		}
		if !ended {
			rest, err := io.ReadAll(b)
			if got += string(rest); err != nil {
				t.Fatal(err)
			}
		}
		if got != whole {
			t.Fatalf("got %q of %q", got, whole)
		}
	}
	if again == 0 {
		t.Error("no body was sent again")
	}
}

func TestReplayRefusals(t *testing.T) {
	read := func(b *replay, n int) *replay {
		for range n {
			_, _ = b.Next()
		}
		return b
	}
	closed := func(b *replay) *replay { _ = b.Close(); return b }
	broken := errors.New("broken off")
	for _, c := range []struct {
		name string
		b    *replay
		want bool
	}{
		{"nothing read", kept(1, io.EOF, "abc"), true},
		{"read to its end", read(kept(3, io.EOF, "abc"), 2), true},
		{"half of it", read(kept(9, io.EOF, "abc", "def"), 1), true},
		{"more than is kept", read(kept(5, io.EOF, "abc", "def"), 2), false},
		{"closed before its end", closed(read(kept(9, io.EOF, "abc", "def"), 1)), false},
		{"closed behind its end", closed(read(kept(9, io.EOF, "abc", "def"), 3)), true},
		{"broken", read(kept(9, broken, "abc"), 2), false},
	} {
		if got := c.b.Rewind(); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
