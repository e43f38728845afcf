//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var errBroken = errors.New("it | broke\nbadly")

func exampleReport() report {
	r := report{
		Date: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC), Rounds: 3, Time: time.Second,
		Machine:  machine{CPU: "Test CPU", Cores: 2, Kernel: "6.1", Go: "go1.26"},
		Versions: map[string]string{"loadstar": "loadstar 1", "haproxy": "HAProxy 2"},
	}
	ours, theirs, third := &product{Name: "loadstar"}, &product{Name: "haproxy"}, &product{Name: "caddy"}
	get := work{Name: "get-64", Doc: "GET", Unit: "request"}
	for i, cpu := range []time.Duration{18_000, 30_000, 16_000} {
		r.add(get, ours, sample{
			Done: 10, CPU: cpu, User: 4 * time.Microsecond, Rate: float64(1000 * (i + 1)),
			P50: time.Millisecond, P99: 2 * time.Millisecond, Memory: 3 << 20, Busy: 0.5,
		})
	}
	r.add(get, theirs, sample{Done: 10, CPU: 20 * time.Microsecond, Errors: 1, First: "read: reset"})
	r.fail(get, third, errBroken)
	idle := work{Name: "idle", Doc: "idle ones", Unit: "connection"}
	r.add(idle, ours, sample{Done: 5, Memory: 4 << 10})
	r.add(idle, theirs, sample{Done: 5, Memory: 1 << 10})
	return r
}

func TestTable(t *testing.T) {
	r := exampleReport()
	var b bytes.Buffer
	r.table(&b)
	for _, want := range []string{
		"Test CPU, 2 cores, Linux 6.1, go1.26; 3 rounds of 1s, medians; 2030-01-02\n",
		"haproxy: HAProxy 2\nloadstar: loadstar 1\n",
		"| get-64 | loadstar | 18.0 µs/request | 3.38 µs | 14.6 µs | 2000 | 50% | 1.0 ms | 2.0 ms | 3.0 MiB | 0 |\n",
		"| get-64 | caddy | failed: it / broke | | | | | | | | |\n",
		"| Loadstar's CPU per unit (memory, if idle) as a share of | haproxy | caddy |\n",
		"| GET | 0.90 | – |\n",
		"| idle ones | 4.00 | – |\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the table is without\n%s\nit is\n%s", want, b.String())
		}
	}
}

func TestJSONKeepsWhatWasMeasured(t *testing.T) {
	r := exampleReport()
	name := filepath.Join(t.TempDir(), "out.json")
	if err := r.write(name); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var back report
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if len(back.Rows) != 5 || len(back.Rows[0].Samples) != 3 || back.Rows[0].Median.CPU != 18*time.Microsecond {
		t.Errorf("read back: %s", b)
	}
}

func TestPerUnit(t *testing.T) {
	bulk := &work{Unit: "GB"}
	s := perUnit(bulk, loadResult{Done: 2, Bytes: 2 * gb, Elapsed: 4 * time.Second},
		cpu{Total: time.Second, User: 100 * time.Millisecond, System: 300 * time.Millisecond})
	if s.CPU != 500*time.Millisecond || s.User != 125*time.Millisecond || s.System != 375*time.Millisecond || s.Rate != 0.5 {
		t.Errorf("%+v", s)
	}
}

func TestSpanAndSize(t *testing.T) {
	for d, want := range map[time.Duration]string{
		1234: "1.23 µs", 23456: "23.5 µs", 12345678: "12.3 ms", 1500 * time.Millisecond: "1.50 s",
	} {
		if got := span(d); got != want {
			t.Errorf("%d: %s, want %s", d, got, want)
		}
	}
	if size(1536) != "1.5 KiB" || size(3<<20) != "3.0 MiB" {
		t.Error(size(1536), size(3<<20))
	}
	if cpuModel("processor\t: 0\nmodel name\t: Fast One\n") != "Fast One" || cpuModel("") != "unknown" {
		t.Error("processor's name")
	}
}
