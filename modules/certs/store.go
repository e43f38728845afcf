package certs

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Files is where a site's certificates are: a certificate's file and its key's, or
// a directory, or a file that holds both.
type Files struct{ Cert, Key string }

// Store gives certificates from files. It outlives configurations.
type Store struct {
	log  *slog.Logger
	ocsp bool

	mu     sync.Mutex // guards what follows, and the entries' staples
	sets   []set
	table  atomic.Pointer[table]
	looked atomic.Int64 // when ClientCertificate looked last
	poll   poll
}

// set is one Files as it was read last.
type set struct {
	Files
	read    bool   // at least once
	stamp   string // what the files looked like then
	entries []*entry
	err     error  // of the last reading; entries are then the last good ones
	told    string // what was logged of it
}

// NewStore reads the files; what cannot be read is in Check. With ocsp, staples
// are fetched once it is started.
func NewStore(files []Files, ocsp bool, log *slog.Logger) *Store {
	s := &Store{log: log, ocsp: ocsp, sets: make([]set, len(files))}
	for i, f := range files {
		s.sets[i].Files = f
	}
	s.Refresh()
	return s
}

// Start begins to look at the files now and then; further calls do nothing.
func (s *Store) Start() { s.poll.start(s.look) }

// Close ends that.
func (s *Store) Close() { s.poll.stop() }

// Certificate implements Source.
func (s *Store) Certificate(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return s.table.Load().choose(h)
}

func (s *Store) look() {
	s.Refresh()
	if s.ocsp {
		s.staples()
	}
}

// Refresh reads what changed since it was last read.
func (s *Store) Refresh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := s.table.Load() == nil
	for i := range s.sets {
		changed = s.sets[i].refresh(s.log) || changed
	}
	if !changed {
		return
	}
	var all []*entry
	for i := range s.sets {
		all = append(all, s.sets[i].entries...)
	}
	s.table.Store(newTable(all))
}

// refresh reads one set if it changed; what failed is read again each time.
func (s *set) refresh(log *slog.Logger) (changed bool) {
	files, dir, err := s.list()
	stamp := stampOf(files)
	if s.read && err == nil && s.err == nil && stamp == s.stamp {
		return false
	}
	var fresh []*entry
	switch {
	case err != nil:
	case s.Key != "":
		fresh, err = loadPair(s.Cert, s.Key)
	default:
		fresh, err = loadTogether(s.Cert, files)
	}
	if err == nil && stampOf(files) != stamp {
		// It is being written: the next look will tell.
		if len(s.entries) == 0 {
			s.err = failure("bad-certificate", "%s changes while it is read", s.Cert)
		}
		return false
	}
	first := !s.read
	s.read, s.stamp, s.err = true, stamp, err
	if err != nil {
		if text := err.Error(); text != s.told {
			if s.told = text; len(s.entries) > 0 {
				log.Error("certificates cannot be read; the last good ones go on", "where", s.Cert, "error", err)
			}
		}
		return false
	}
	for i, e := range fresh { // an entry that stayed keeps its staple
		for _, old := range s.entries {
			if old.leaf.Equal(e.leaf) && len(old.chain) == len(e.chain) && same(old.leaf.PublicKey, e.leaf.PublicKey) {
				fresh[i] = old
			}
		}
	}
	if s.told = ""; !first {
		log.Info("certificates read anew", "where", s.Cert, "directory", dir, "certificates", len(fresh))
	}
	s.entries = fresh
	return true
}

// list gives the files of a set.
func (s *set) list() (files []string, dir bool, err error) {
	if s.Key != "" {
		return []string{s.Cert, s.Key}, false, nil
	}
	info, err := os.Stat(s.Cert)
	if err != nil {
		return []string{s.Cert}, false, failure("unreadable-file", "cannot read %s: it does not exist, or nobody may look", s.Cert)
	}
	if !info.IsDir() {
		return []string{s.Cert}, false, nil
	}
	files, err = pemFiles(s.Cert)
	return files, true, err
}

// stampOf tells files apart from what they were before.
func stampOf(files []string) string {
	var b strings.Builder
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			fmt.Fprintf(&b, "%s ?\n", f)
			continue
		}
		inode := uint64(0)
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			inode = st.Ino
		}
		fmt.Fprintf(&b, "%s %d %d %d\n", f, info.ModTime().UnixNano(), info.Size(), inode)
	}
	return b.String()
}

// worldReadable lists the files of a set that hold keys and that everybody may read.
func (s *set) worldReadable() []string {
	files, _, err := s.list()
	if err != nil {
		return nil
	}
	if s.Key != "" {
		files = []string{s.Key}
	}
	return slices.DeleteFunc(files, func(f string) bool {
		info, err := os.Stat(f)
		if err != nil || info.Mode().Perm()&0o004 == 0 || !info.Mode().IsRegular() {
			return true
		}
		text, err := readFile(f)
		return err != nil || !strings.Contains(string(text), "PRIVATE KEY-----")
	})
}

// ClientCertificate gives the first certificate to show to a server
// (tls.Config.GetClientCertificate). It looks at the files itself, at most once
// every lookEvery: handshakes with servers are rare.
func (s *Store) ClientCertificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	now := time.Now().UnixNano()
	if last := s.looked.Load(); now-last > int64(lookEvery) && s.looked.CompareAndSwap(last, now) {
		s.Refresh()
	}
	t := s.table.Load()
	if len(t.first) == 0 {
		return nil, errNoCertificate
	}
	return t.first[0].cert.Load(), nil
}
