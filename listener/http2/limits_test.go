package http2

import (
	"testing"

	"golang.org/x/net/http2"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/flow/flowtest"
	h2 "github.com/loadstar-lb/loadstar/listener/wire/http2"
)

// A binding's limits are told to the client, and held to.
func TestLimitsOfBinding(t *testing.T) {
	for _, c := range []struct {
		limits          flow.Limits
		streams, window uint32
	}{
		{testLimits, 100, 64 << 10},
		{flow.Limits{HeadBytes: 32 << 10, Fields: 100, Header: guardTime, Idle: guardTime, Stall: guardTime, Streams: 2, Window: 1 << 20}, 2, 1 << 20},
	} {
		release := make(chan bool)
		h := serve(t, false, flowtest.Func(func(x *flow.Exchange) {
			if x.Req.Method == "POST" { // nobody reads its body
				<-release
			}
			_ = x.Respond(200, "", nil)
		}), c.limits)
		r := h.dialRaw(t)
		f, err := r.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		s, ok := f.(*http2.SettingsFrame)
		if !ok {
			t.Fatalf("%v", f)
		}
		streams, _ := s.Value(http2.SettingMaxConcurrentStreams)
		window, _ := s.Value(http2.SettingInitialWindowSize)
		if streams != c.streams || window != c.window {
			t.Errorf("SETTINGS: %d streams, window %d; want %d, %d", streams, window, c.streams, c.window)
		}
		// As many as are allowed are taken, with all that fits in a window; one more is refused.
		id := uint32(1)
		for range streams {
			r.open(id, false, post("/")...)
			id += 2
		}
		for sent := 0; sent < int(window); sent += h2.MaxFrame {
			_ = r.WriteData(1, false, make([]byte, h2.MaxFrame))
		}
		r.open(id, true, get("/")...)
		if g := r.collect(id); !g.cut || g.reset != http2.ErrCodeRefusedStream {
			t.Errorf("stream %d of %d: %+v", id/2+1, streams, g)
		}
		close(release)
		if g := r.collect(1); len(g.status) != 1 || g.status[0] != "200" {
			t.Errorf("%+v", g)
		}
	}
}
