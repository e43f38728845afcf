package balancer

import (
	"strconv"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// servers makes servers 1, 2, 3… with these weights.
func servers(weights ...int) []*upstream.Server {
	out := make([]*upstream.Server, len(weights))
	group := upstream.NewLive()
	for i, w := range weights {
		out[i] = &upstream.Server{Key: upstream.Key{Name: strconv.Itoa(i + 1)}, Index: i, Weight: w,
			Live: upstream.NewLive(), Group: group}
	}
	return out
}

func many(n int) []*upstream.Server {
	weights := make([]int, n)
	for i := range weights {
		weights[i] = 1 + i%3
	}
	return servers(weights...)
}

func policy(t testing.TB, name string) Policy {
	t.Helper()
	for _, m := range Modules() {
		if m.Spec.Name == name {
			n := &config.Node{Word: "balance", Variant: name}
			for _, a := range m.Spec.Args {
				v, _ := strconv.ParseInt(a.Default, 10, 64)
				n.Args = append(n.Args, config.Value{Text: a.Default, Int: v})
			}
			p, err := m.New(n)
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
	}
	t.Fatalf("no algorithm %q", name)
	return nil
}

// names picks n times and joins the names.
func names(p Picker, n int) string {
	var out strings.Builder
	var a Ask
	for range n {
		if s := p.Pick(&a); s != nil {
			out.WriteString(s.Name)
		} else {
			out.WriteByte('-')
		}
	}
	return out.String()
}
