package main_test

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// What an idle TLS connection may keep resident, in bytes.
const idleTLS = 24 << 10

func TestTLSIdleMemory(t *testing.T) {
	if testing.Short() || e2e.Race {
		t.Skip("2,000 connections; the race detector has memory of its own")
	}
	options, state := secureOptions(t)
	p := e2e.Ports(t, 1)
	in := e2e.Run(t, options+fmt.Sprintf("https://localhost:%d {\n\ttls internal\n\trespond ok\n}\n", p[0]), p...)
	cfg := trusting(t, filepath.Join(state, "internal", "root.crt"), "localhost")
	resident := func() int {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", in.PID()))
		if err != nil {
			t.Skip(err)
		}
		_, rest, _ := strings.Cut(string(text), "VmRSS:")
		kb, _ := strconv.Atoi(strings.Fields(rest)[0])
		return kb << 10
	}
	_, _ = askTLS(t, p[0], cfg, "localhost")
	before := resident()
	const n = 2000
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := worker; i < n; i += 8 {
				c, err := shake(t, p[0], cfg)
				if err != nil {
					t.Error(err)
					return
				}
				_ = c.SetDeadline(time.Now().Add(2 * time.Minute))
				_, _ = fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
				res, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil {
					t.Error(err)
					return
				}
				_ = res.Body.Close()
			}
		})
	}
	wg.Wait()
	var each int
	if !rig.Until(90*time.Second, func() bool { each = (resident() - before) / n; return each <= idleTLS }) {
		t.Errorf("an idle TLS connection keeps %d bytes resident, more than %d", each, idleTLS)
	}
	t.Logf("%d bytes", each)
}
