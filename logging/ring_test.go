package logging

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// TestRingCounts has many producers race one consumer and a close, and accounts
// for every line: each producer's lines come out in order, none twice, and what did not
// come out was refused.
func TestRingCounts(t *testing.T) {
	const producers, each = 8, 20_000
	r := newRing(64)
	var refused atomic.Uint64
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			for i := range each {
				s, pos := r.claim()
				if s == nil {
					refused.Add(1)
					continue
				}
				s.line = binary.BigEndian.AppendUint32(append(s.line, byte(p)), uint32(i))
				s.publish(pos)
			}
		})
	}
	closed := make(chan struct{})
	go func() { wg.Wait(); r.close(); close(closed) }()
	var last [producers]int64
	for i := range last {
		last[i] = -1
	}
	taken := uint64(0)
	for batch := make([]Line, 0, 16); ; {
		lines := r.peek(batch)
		for _, l := range lines {
			n := int64(binary.BigEndian.Uint32(l.Text[1:]))
			if p := l.Text[0]; n <= last[p] {
				t.Fatalf("producer %d: line %d after %d", p, n, last[p])
			} else {
				last[p] = n
			}
		}
		taken += uint64(len(lines))
		r.release(len(lines))
		if len(lines) == 0 && r.closed() && r.held() == 0 {
			break
		}
	}
	<-closed
	if sum := taken + refused.Load(); sum != producers*each {
		t.Errorf("taken %d + refused %d = %d, want %d", taken, refused.Load(), sum, producers*each)
	}
}

func TestRingRefusesWhenFullAndWhenClosed(t *testing.T) {
	r := newRing(4)
	for i := range 4 {
		s, pos := r.claim()
		if s == nil {
			t.Fatalf("claim %d refused", i)
		}
		s.publish(pos)
	}
	if s, _ := r.claim(); s != nil {
		t.Error("a full ring gave a slot")
	}
	r.release(1)
	if s, _ := r.claim(); s == nil {
		t.Error("no slot after one was released")
	}
	if got := r.held(); got != 4 {
		t.Errorf("held %d, want 4", got)
	}
	r.release(2)
	r.close()
	if s, _ := r.claim(); s != nil {
		t.Error("a closed ring gave a slot")
	}
}

// TestRingKeepsOrderBehindASlowProducer: a slot claimed but not filled holds back those
// after it.
func TestRingKeepsOrderBehindASlowProducer(t *testing.T) {
	r := newRing(4)
	first, pos := r.claim()
	second, pos2 := r.claim()
	second.line = append(second.line, "second"...)
	second.publish(pos2)
	if lines := r.peek(make([]Line, 0, 4)); len(lines) != 0 || r.ready() {
		t.Fatalf("peek gave %d lines before the first was filled", len(lines))
	}
	first.line = append(first.line, "first"...)
	first.publish(pos)
	lines := r.peek(make([]Line, 0, 4))
	if len(lines) != 2 || string(lines[0].Text) != "first" || string(lines[1].Text) != "second" {
		t.Errorf("peek gave %q", lines)
	}
}

type fixedFormat string

func (f fixedFormat) Append(dst []byte, _ *flow.Record) []byte { return append(dst, f...) }
