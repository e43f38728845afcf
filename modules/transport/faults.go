package transport

import (
	"os"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// The faults that are the same in every version of HTTP. Whether a request may be sent
// again hangs on Begun and Stale (see flow.Error), the client's status on side and phase.

// invalidAnswer is a head that no server may send, or that is beyond a limit.
func invalidAnswer(err error) *flow.Error {
	return &flow.Error{Side: flow.SideProxy, Phase: flow.PhaseHeaders, Status: 502, Cause: "invalid answer", Err: err, Begun: true}
}

// noAnswer is a server that has the request and says nothing.
func noAnswer(err error) *flow.Error {
	return &flow.Error{Side: flow.SideServer, Phase: flow.PhaseHeaders, Timeout: true, Cause: "no answer in time", Err: err, Begun: true}
}

// notTaken is a server that does not read the request.
func notTaken() *flow.Error {
	return &flow.Error{
		Side: flow.SideServer, Phase: flow.PhaseHeaders, Timeout: true,
		Cause: "server does not take the request", Err: os.ErrDeadlineExceeded, Begun: true,
	}
}

// stalled is a server that does not go on with its answer.
func stalled() *flow.Error {
	return &flow.Error{
		Side: flow.SideServer, Phase: flow.PhaseData, Timeout: true, Cause: "answer broke off", Err: os.ErrDeadlineExceeded, Begun: true,
	}
}

// wasReset is a stream that the server has cut, with HTTP/2's code of that; headed: it
// had begun to answer.
func wasReset(headed bool, code uint32) *flow.Error {
	f := &flow.Error{Side: flow.SideServer, Phase: flow.PhaseHeaders, Cause: "server reset the stream", Err: &flow.Reset{Code: code}, Begun: true}
	if headed {
		f.Phase = flow.PhaseData
	}
	return f
}

// wasRefused is a stream of which the server says that nothing was done about it.
func wasRefused(code uint32) *flow.Error {
	return &flow.Error{Side: flow.SideServer, Phase: flow.PhaseHeaders, Cause: "server refused the stream", Err: &flow.Reset{Code: code}}
}

// endedOutside is an exchange that somebody ended by its Flight; headed: it had begun
// to be answered.
func endedOutside(headed bool) *flow.Error {
	f := &flow.Error{Side: flow.SideServer, Phase: flow.PhaseHeaders, Cause: "exchange was ended from outside", Begun: true}
	if headed {
		f.Phase = flow.PhaseData
	}
	return f
}
