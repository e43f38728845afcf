package history

// Stored is an Entry with its texts, as it is handed to another process.
type Stored struct {
	Entry
	Texts []File `json:"texts"`
}

// Export gives what is kept, the oldest first.
func (l *Log) Export() []Stored {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]Stored, 0, len(l.entries))
	for _, e := range l.entries {
		out = append(out, Stored{e, e.Files})
	}
	return out
}

// Import takes up what another process has exported, before anything is added here.
func (l *Log) Import(all []Stored) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range all {
		e := s.Entry
		e.Files = s.Texts
		l.entries = append(l.entries, e)
		l.count = max(l.count, e.Number)
		l.bytes += e.Bytes
	}
	l.trim()
}
