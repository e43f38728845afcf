package main

import (
	"context"
	"syscall"
	"time"
)

// leave lets everything that this process still serves end by itself, while its
// heir takes what is new. SIGTERM then gives it the grace period and no more.
func (p *process) leave(s *signals) (cut int) {
	st := p.runtime.Stats()
	p.log.Info("another process has taken over; this one ends with its last connection",
		"pid", p.heir.pid, "connections", st.Connections)
	p.admin.leave(p.heir.admin)
	ctx, cancel := context.WithCancel(context.Background())
	if limit := p.graceful().retired; limit > 0 {
		ctx, cancel = context.WithTimeout(ctx, limit)
	}
	defer cancel()
	left := make(chan struct{})
	go func() {
		p.runtime.Leave(ctx, p.heir.handed)
		close(left)
	}()
	orders := make(chan order)
	go func() {
		for {
			o := s.next()
			select {
			case orders <- o:
			case <-left:
				return
			}
			if o == sigStop || o == sigEnd {
				return
			}
		}
	}()
	for {
		select {
		case <-left:
			if ctx.Err() == context.DeadlineExceeded {
				p.log.Warn("connections outlived `grace retired`")
			}
			return p.runtime.Shutdown(context.Background())
		case o := <-orders:
			switch o {
			case sigReopen:
				p.runtime.Reopen()
			case sigStop:
				cancel()
				<-left
				return p.shutdown(s)
			}
		}
	}
}

// orphan stops a process that took over while this one was told to stop.
func (p *process) orphan() {
	if h := p.heir; h != nil {
		_ = syscall.Kill(h.pid, syscall.SIGTERM)
	}
}

// waits is how long things may take at the end; see the word `grace`.
type waits struct {
	grace   time.Duration // for connections to end, before they are cut
	delay   time.Duration // while `monitor` fails and connections are still taken
	retired time.Duration // for those of a configuration or process that was replaced; 0: no limit
}

func (p *process) graceful() waits {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waits
}
