package matcher

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/listener/flow"
)

func join(op config.Op, kids []Matcher) Matcher {
	switch {
	case op == config.Not:
		return not{kids[0]}
	case len(kids) == 1:
		return kids[0]
	case op == config.And:
		return and(kids)
	default:
		return or(kids)
	}
}

type (
	and []Matcher
	or  []Matcher
	not struct{ kid Matcher }
)

func (m and) Match(x *flow.Exchange) bool {
	for _, k := range m {
		if !k.Match(x) {
			return false
		}
	}
	return true
}

func (m or) Match(x *flow.Exchange) bool {
	for _, k := range m {
		if k.Match(x) {
			return true
		}
	}
	return false
}

func (m not) Match(x *flow.Exchange) bool { return !m.kid.Match(x) }

func joinConn(op config.Op, kids []ConnMatcher) ConnMatcher {
	switch {
	case op == config.Not:
		return notConn{kids[0]}
	case len(kids) == 1:
		return kids[0]
	case op == config.And:
		return andConn(kids)
	default:
		return orConn(kids)
	}
}

type (
	andConn []ConnMatcher
	orConn  []ConnMatcher
	notConn struct{ kid ConnMatcher }
)

// MatchConn is sure of No as soon as one kid is, whatever the others need.
func (m andConn) MatchConn(c *flow.Conn) Verdict {
	out := Yes
	for _, k := range m {
		switch k.MatchConn(c) {
		case No:
			return No
		case NeedMore:
			out = NeedMore
		case Yes:
		}
	}
	return out
}

// MatchConn is sure of Yes as soon as one kid is.
func (m orConn) MatchConn(c *flow.Conn) Verdict {
	out := No
	for _, k := range m {
		switch k.MatchConn(c) {
		case Yes:
			return Yes
		case NeedMore:
			out = NeedMore
		case No:
		}
	}
	return out
}

func (m notConn) MatchConn(c *flow.Conn) Verdict {
	switch m.kid.MatchConn(c) {
	case Yes:
		return No
	case No:
		return Yes
	default:
		return NeedMore
	}
}
