package syntax

import (
	"strings"
	"testing"
)

// BenchmarkParse reads a file of ordinary lines; ns/op per byte must not grow
// with its size.
func BenchmarkParse(b *testing.B) {
	const site = "https://www.example.com {\n\tlog\n\t@images path /img/* *.png and not client 10.0.0.0/8 # pictures\n\tproxy @images \"pool one\"\n\thandle /api/* {\n\t\tproxy 10.0.0.1:80 10.0.0.2:80\n\t}\n}\n"
	for _, size := range []struct {
		name  string
		times int
	}{{"small", 1}, {"10KB", 50}, {"1MB", 5000}, {"4MB", 20000}} {
		src := []byte(strings.Repeat(site, size.times))
		b.Run(size.name, func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			for b.Loop() {
				if _, errs := Parse("Lbfile", src); len(errs) > 0 {
					b.Fatal(errs)
				}
			}
		})
	}
}
