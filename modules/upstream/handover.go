package upstream

// Health is what probes know of a server, for another process that goes on with
// it.
type Health struct {
	Key     Key
	Verdict Verdict
	Counter int // of rise and fall
}

// Health gives what is known of a server; ok is false before its first probe.
func (s *Server) Health() (h Health, ok bool) {
	n, ok := s.Live.Counter()
	return Health{Key: s.Key, Verdict: s.Live.Verdict(), Counter: n}, ok
}

// Resume has a server that nobody has looked at yet begin where another process
// left it. It is no change of its state, so nobody is told.
func (l *Live) Resume(h Health) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.verdict.Store(int32(h.Verdict))
	l.SetCounter(h.Counter)
}
