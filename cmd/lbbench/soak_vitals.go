//go:build linux

package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
)

// vitals are what must be at the end as it was at the beginning.
type vitals struct {
	Descriptors int
	Memory      int64 // bytes
	Goroutines  int   // -1: the product does not tell
}

// slack is what may remain of descriptors and goroutines: pooled connections to
// servers and a probe under way are neither a leak nor exactly constant.
const slack = 10

// memorySlack is by how much the resident memory of a program with a garbage
// collector may differ between two moments, in bytes.
const memorySlack = 16 << 20

func (s *soak) vitals() vitals {
	time.Sleep(500 * time.Millisecond) // connections that have just been closed
	return s.look()
}

func (s *soak) look() vitals {
	v := vitals{Goroutines: s.goroutines()}
	pids := tree(s.proc.PID())
	for _, pid := range pids {
		n, err := descriptorsOf(pid)
		if err == nil {
			v.Descriptors += n
		}
	}
	v.Memory, _ = memoryOf(pids)
	return v
}

// vitalsLike waits up to half a minute until descriptors and goroutines are back
// near what they were: old generations may take their time to drain.
func (s *soak) vitalsLike(want vitals) vitals {
	var v vitals
	rig.Until(30*time.Second, func() bool {
		v = s.look()
		if v.Descriptors <= want.Descriptors+slack && v.Goroutines <= want.Goroutines+slack {
			return true
		}
		time.Sleep(200 * time.Millisecond)
		return false
	})
	return v
}

// goroutines asks the admin endpoint.
func (s *soak) goroutines() int {
	if s.product.name != "loadstar" {
		return -1
	}
	socket := filepath.Join(s.setup.Dir, "admin.sock")
	client := &http.Client{
		Timeout: 5 * time.Second,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "unix", socket)
			},
		},
	}
	res, err := client.Get("http://localhost/status")
	if err != nil {
		return -1
	}
	defer func() { _ = res.Body.Close() }()
	status := struct {
		Goroutines int `json:"goroutines"`
	}{-1}
	if err := json.NewDecoder(res.Body).Decode(&status); err != nil {
		return -1
	}
	return status.Goroutines
}

// compareVitals prints both ends and gives the faults.
func (s *soak) compareVitals() []string {
	var faults []string
	s.say("  descriptors          %d, then %d", s.first.Descriptors, s.last.Descriptors)
	if s.last.Descriptors > s.first.Descriptors+slack {
		faults = append(faults, "descriptors leak")
	}
	if s.first.Goroutines < 0 {
		s.say("  goroutines           SKIP: %s does not tell", s.product.name)
	} else {
		s.say("  goroutines           %d, then %d", s.first.Goroutines, s.last.Goroutines)
		if s.last.Goroutines > s.first.Goroutines+slack {
			faults = append(faults, "goroutines leak")
		}
	}
	s.say("  memory               %s, then %s", size(s.first.Memory), size(s.last.Memory))
	if s.last.Memory > s.first.Memory+memorySlack {
		faults = append(faults, "memory grows")
	}
	return faults
}
