package pool

import (
	"errors"
	"slices"
	"syscall"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
)

// Retry says what to do about a try that failed.
type Retry struct {
	Max        int  // tries after the first
	Redispatch bool // a retry goes to another server when there is one
	On         Conditions
	AnyMethod  bool  // requests are repeated whatever their method
	Buffer     int64 // bytes of a request body that are kept to be sent again; 0: what came with the head
	statuses   []spec.StatusRange
}

// Conditions is the set of failures after which a request is sent again.
type Conditions uint8

// The conditions. Without `on`, Once stands beside ConnectFailure: a safe
// request that broke before its answer is tried a second time, and no more.
const (
	ConnectFailure Conditions = 1 << iota // no connection stood
	Refused                               // of those: the server refused it
	Timeout                               // the server did not answer in time
	EmptyResponse                         // the server closed before any byte of an answer
	Once
)

var conditions = map[string]Conditions{
	"connect_failure": ConnectFailure, "refused": Refused, "timeout": Timeout, "empty_response": EmptyResponse,
}

// Status reports whether an answer with that status is not passed on while the
// request can be sent again.
func (r *Retry) Status(status int) bool {
	for _, s := range r.statuses {
		if s.From <= status && status <= s.To {
			return true
		}
	}
	return false
}

// Method reports whether a request that a server may have begun to see may be
// sent again: it is idempotent (RFC 9110 §9.2.2), and safe where only the
// defaults speak for sending it again.
func (r *Retry) Method(method string) bool {
	switch method {
	case "GET", "HEAD", "OPTIONS", "TRACE":
		return true
	case "PUT", "DELETE":
		return r.AnyMethod || r.On&Once == 0
	default:
		return r.AnyMethod
	}
}

// Allows reports whether a try that failed so may be followed by another. begun
// tells that a server may have begun to see the request before that.
func (r *Retry) Allows(f *flow.Error, method string, begun bool) bool {
	switch {
	case f.Side == flow.SideClient, f.Side == flow.SideProxy && f.Phase == flow.PhaseRequest:
		return false // what the client sent is at fault
	case !f.Begun && f.Phase == flow.PhaseConnect:
		return r.On&ConnectFailure != 0 || r.On&Refused != 0 && errors.Is(f.Err, syscall.ECONNREFUSED)
	case !f.Begun: // a connection that was found dead
		return true
	case !r.Method(method):
		return false
	case r.On&Once != 0:
		return !begun && !f.Timeout && f.Status == 0
	case f.Timeout:
		return r.On&Timeout != 0
	default:
		return r.On&EmptyResponse != 0 && f.Empty
	}
}

// retry reads the directive.
func (b *builder) retry() {
	n := directive(b.cfg.Body, &retryWord)
	r := Retry{
		Max: int(n.Int(0)), Redispatch: n.OptionText("redispatch") != "off",
		AnyMethod: n.Has("any_method"), Buffer: n.OptionInt("buffer"), On: ConnectFailure | Once,
	}
	if on := n.Option("on"); on != nil {
		r.On = 0
		for _, v := range on.Args {
			r.read(v, &b.errs)
		}
	}
	b.p.Retry = r
	b.p.budget.percent = n.OptionInt("budget")
}

func (r *Retry) read(v config.Value, errs *diag.List) {
	if c, ok := conditions[v.Text]; ok {
		r.On |= c
		return
	}
	s, err := spec.ParseStatuses(v.Text)
	fine := func(r spec.StatusRange) bool { return r.From < 400 } // an answer that failed in nothing
	if err != nil || slices.ContainsFunc(s, fine) {
		d := errs.Add(v.Range, "bad-value", "%q is nothing to retry on", v.Text)
		d.Help = append(d.Help, "one of: connect_failure, refused, timeout, empty_response, or statuses from 400 on, such as 503 and 5xx")
		return
	}
	r.statuses = append(r.statuses, s...)
}
