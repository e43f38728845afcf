package health

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// maxInfo bounds what is kept of a server's words.
const maxInfo = 80

// String gives the result as HAProxy writes it into its log lines.
func (r Result) String() string {
	s := r.Reason
	if r.Code != 0 {
		s += ", code: " + strconv.Itoa(r.Code)
	}
	if r.Info != "" {
		s += `, info: "` + r.Info + `"`
	}
	return s
}

// printable makes what a server said fit for a log line: bounded, and without
// anything that could forge or break one.
func printable(s string) string { return printableUpTo(s, maxInfo) }

func printableUpTo(s string, most int) string {
	if len(s) > most {
		s = s[:most]
	}
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' || c == '"' {
			return '.'
		}
		return c
	}, s)
}

func passed(reason string, code int, info string) Result {
	return Result{Reason: reason, Code: code, Info: printable(info)}
}

func failed(reason string, code int, info string) (Result, error) {
	r := passed(reason, code, info)
	return r, &Failure{r}
}

// connectFailed tells a refused connection from one that did not come about in
// time (HAProxy's L4CON and L4TOUT).
func connectFailed(ctx context.Context, err error) (Result, error) {
	if isTimeout(ctx, err) {
		return failed("Layer4 timeout", 0, "")
	}
	return failed("Layer4 connection problem", 0, reasonOf(err))
}

// answerFailed is for errors after the connection stood; layer is 6 or 7.
func answerFailed(ctx context.Context, layer string, err error) (Result, error) {
	if isTimeout(ctx, err) {
		return failed(layer+" timeout", 0, "")
	}
	return failed(layer+" invalid response", 0, reasonOf(err))
}

func isTimeout(ctx context.Context, err error) bool {
	var ne net.Error
	return ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &ne) && ne.Timeout()
}

// reasonOf gives the innermost words: "connection refused" without the
// addresses that Go's network errors carry, so that equal causes read equal.
func reasonOf(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err.Error()
	}
	return err.Error()
}
