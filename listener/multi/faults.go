package multi

import (
	"errors"
	"io"
	"os"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// BadHead is what a malformed head is answered with.
func BadHead(cause string) *flow.Error {
	return &flow.Error{Side: flow.SideProxy, Phase: flow.PhaseRequest, Status: 400, Cause: cause}
}

var (
	// ErrTooLarge is the fault of a head beyond the limits.
	ErrTooLarge = &flow.Error{Side: flow.SideProxy, Phase: flow.PhaseRequest, Status: 431, Cause: "header too large"}
	// ErrReset is what an exchange gets whose client has reset its stream.
	ErrReset = &flow.Error{Side: flow.SideClient, Phase: flow.PhaseData, Cause: "client reset the stream"}
)

// Gone is what an exchange gets whose client has left.
func Gone(err error) *flow.Error {
	return &flow.Error{Side: flow.SideClient, Phase: flow.PhaseData, Timeout: errors.Is(err, os.ErrDeadlineExceeded), Cause: "client gone", Err: err}
}

// BrokeOff is what the reader of a body gets that has stood still for too long.
func BrokeOff() *flow.Error { return tooLong("request body broke off") }

// TakesNothing is what the writer of an answer gets that the client has taken
// nothing of for too long.
func TakesNothing() *flow.Error { return tooLong("client takes nothing") }

func tooLong(cause string) *flow.Error {
	return &flow.Error{Side: flow.SideClient, Phase: flow.PhaseData, Timeout: true, Cause: cause, Err: os.ErrDeadlineExceeded}
}

// TimedOut has deadlines of a tunnel look as those of sockets do.
func TimedOut(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return os.ErrDeadlineExceeded
	}
	return err
}
