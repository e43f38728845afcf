package tunnel

import (
	"io"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// cpu gives the CPU time this process has taken, in seconds.
func cpu() float64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// BenchmarkBulk moves a gigabyte an operation; "direct" is the same work of the
// two ends without a tunnel, to be taken off.
func BenchmarkBulk(b *testing.B) {
	const size = 1 << 30
	chunk := make([]byte, 256<<10)
	run := func(b *testing.B, out io.Writer, in io.Reader) {
		go func() {
			for range b.N * (size / len(chunk)) {
				if _, err := out.Write(chunk); err != nil {
					return
				}
			}
		}()
		buf := make([]byte, 256<<10)
		c0 := cpu()
		b.SetBytes(size)
		b.ResetTimer()
		for left := int64(b.N) * size; left > 0; {
			n, err := in.Read(buf)
			if err != nil {
				b.Fatal(err)
			}
			left -= int64(n)
		}
		b.ReportMetric((cpu()-c0)/float64(b.N), "cpu-s/GB")
	}
	b.Run("direct", func(b *testing.B) {
		x, y := pair(b, "tcp")
		run(b, x, y)
	})
	b.Run("tunnel", func(b *testing.B) {
		r := start(b, "tcp", false, Options{Idle: time.Minute})
		run(b, r.client, r.server)
	})
	b.Run("copied", func(b *testing.B) {
		r := start(b, "tcp", true, Options{Idle: time.Minute})
		run(b, r.client, r.server)
	})
}

// BenchmarkMessages is one question and one answer of 64 bytes an operation.
func BenchmarkMessages(b *testing.B) {
	run := func(b *testing.B, client, server half) {
		go func() {
			var p [64]byte
			for {
				if _, err := io.ReadFull(server, p[:]); err != nil {
					return
				}
				if _, err := server.Write(p[:]); err != nil {
					return
				}
			}
		}()
		var p [64]byte
		c0 := cpu()
		b.ReportAllocs()
		b.ResetTimer()
		for range b.N {
			if _, err := client.Write(p[:]); err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(client, p[:]); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric((cpu()-c0)/float64(b.N)*1e6, "cpu-µs/op")
	}
	b.Run("direct", func(b *testing.B) { x, y := pair(b, "tcp"); run(b, x, y) })
	b.Run("tunnel", func(b *testing.B) {
		r := start(b, "tcp", false, Options{Idle: time.Minute})
		run(b, r.client, r.server)
	})
	b.Run("copied", func(b *testing.B) {
		r := start(b, "tcp", true, Options{Idle: time.Minute})
		run(b, r.client, r.server)
	})
}

// BenchmarkIdle tells what an idle tunnel costs.
func BenchmarkIdle(b *testing.B) {
	for b.Loop() {
		const tunnels = 1000
		var m0, m1 runtime.MemStats
		rigs := make([]*rig, tunnels)
		runtime.GC()
		runtime.ReadMemStats(&m0)
		for i := range rigs {
			rigs[i] = start(b, "tcp", false, Options{Idle: time.Minute})
			io.WriteString(rigs[i].client, "x")
			var p [1]byte
			io.ReadFull(rigs[i].server, p[:])
		}
		runtime.GC()
		runtime.ReadMemStats(&m1)
		used := (m1.HeapInuse + m1.StackInuse) - (m0.HeapInuse + m0.StackInuse)
		b.ReportMetric(float64(used)/tunnels/1024, "KiB/tunnel")
		for _, r := range rigs {
			r.client.Close()
			r.server.Close()
			<-r.result
		}
	}
}
