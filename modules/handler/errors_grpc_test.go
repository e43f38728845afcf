package handler

import (
	"math"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

func TestGRPCTimeout(t *testing.T) {
	for v, want := range map[string]time.Duration{
		"1H": time.Hour, "2M": 2 * time.Minute, "3S": 3 * time.Second, "004m": 4 * time.Millisecond, "5u": 5 * time.Microsecond,
		"99999999n": 99999999, "0m": 0, "99999999H": math.MaxInt64,
		"": -1, "m": -1, "1": -1, "1s": -1, "+1S": -1, "-1S": -1, "1 S": -1, "1.5S": -1, "123456789S": -1,
	} {
		d, ok := grpcTimeout([]byte(v))
		if ok != (want >= 0) || ok && d != want {
			t.Errorf("%q: %v %v, want %v", v, d, ok, want)
		}
	}
}

// A stream that the server has reset is a cancelled call, unless the call's own
// deadline has passed: then that is why.
func TestGRPCReset(t *testing.T) {
	for _, c := range []struct {
		code    uint32
		timeout string
		ran     time.Duration
		want    int
	}{
		{0x8, "", time.Hour, grpcCancelled},
		{0x8, "1H", time.Second, grpcCancelled},
		{0x8, "1m", time.Second, grpcDeadlineExceeded},
		{0x8, "broken", time.Second, grpcCancelled},
		{0xb, "1m", time.Second, grpcResourceExhausted},
		{0xc, "", 0, grpcPermissionDenied},
		{0x7, "1m", time.Second, grpcUnavailable},
	} {
		x := &flow.Exchange{}
		x.Record.Timings.FirstByte = flow.Now() - int64(c.ran)
		if c.timeout != "" {
			x.Req.Header.Add("Grpc-Timeout", c.timeout)
		}
		err := &flow.Error{Side: flow.SideServer, Err: &flow.Reset{Code: c.code}}
		if got := grpcStatus(x, err); got != c.want {
			t.Errorf("code %#x, timeout %q after %s: %d, want %d", c.code, c.timeout, c.ran, got, c.want)
		}
	}
}
