package matcher

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/loadstar-lb/loadstar/dsl/config"
)

// Nets is a set of IP networks: disjoint ranges in order, so that finding an
// address costs a binary search, however many networks there are.
type Nets struct{ four, six []span }

type span struct{ lo, hi netip.Addr }

// NewNets reads networks and single addresses. IPv4 addresses inside IPv6
// ("::ffff:10.0.0.1") are IPv4 ones.
func NewNets(args []config.Value) (*Nets, error) {
	n := &Nets{}
	for i := range args {
		p, err := parseNet(args[i].Text)
		if err != nil {
			return nil, at(args[i].Range, err)
		}
		s := span{p.Masked().Addr(), last(p)}
		if s.lo.Is4() {
			n.four = append(n.four, s)
		} else {
			n.six = append(n.six, s)
		}
	}
	n.four, n.six = merge(n.four), merge(n.six)
	return n, nil
}

func parseNet(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, fmt.Errorf("%q is no network: write 10.0.0.0/8 or ::1", s)
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return p, fmt.Errorf("%q reaches beyond the IPv4 addresses inside IPv6", s)
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p, nil
}

// last gives the highest address of a network.
func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

func merge(s []span) []span {
	slices.SortFunc(s, func(a, b span) int { return a.lo.Compare(b.lo) })
	out := s[:0]
	for _, r := range s {
		if n := len(out); n > 0 && (r.lo.Compare(out[n-1].hi) <= 0 || r.lo == out[n-1].hi.Next()) {
			if r.hi.Compare(out[n-1].hi) > 0 {
				out[n-1].hi = r.hi
			}
			continue
		}
		out = append(out, r)
	}
	return out
}

// Len is the number of disjoint ranges.
func (n *Nets) Len() int { return len(n.four) + len(n.six) }

// Contains reports whether the address lies in one of the networks.
func (n *Nets) Contains(a netip.Addr) bool {
	s := n.four
	if !a.Is4() {
		if a = a.Unmap(); !a.Is4() {
			s, a = n.six, a.WithZone("")
		}
	}
	lo, hi := 0, len(s)
	for lo < hi {
		mid := (lo + hi) / 2
		if s[mid].hi.Compare(a) < 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo < len(s) && s[lo].lo.Compare(a) <= 0
}
