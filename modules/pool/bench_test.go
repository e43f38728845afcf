package pool

import (
	"fmt"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/balancer"
)

// BenchmarkExchange is what a pool adds to an exchange: a slot had, a report, the
// slot given back.
func BenchmarkExchange(b *testing.B) {
	for _, alg := range []string{"roundrobin", "leastconn"} {
		for _, n := range []int{3, 1000} {
			b.Run(fmt.Sprintf("%s/%d", alg, n), func(b *testing.B) {
				var text strings.Builder
				fmt.Fprintf(&text, "balance %s\n", alg)
				for i := range n {
					fmt.Fprintf(&text, "server s%d 127.0.0.1:%d maxconn 100\n", i, i+1)
				}
				p := build(b, text.String(), Deps{})
				var r flow.Record
				var a balancer.Ask
				b.ReportAllocs()
				for b.Loop() {
					s, err := p.Acquire(&a, &r)
					if err != nil {
						b.Fatal(err)
					}
					p.Report(s, Connected)
					p.Release(s)
				}
			})
		}
	}
}
