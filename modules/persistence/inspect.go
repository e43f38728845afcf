package persistence

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"
)

// EntryInfo is one entry of a table, for reports.
type EntryInfo struct {
	Key    string        // as people write it; see KeyText
	Server string        // the name
	Idle   time.Duration // since it was used last
	Left   time.Duration // until it expires; negative: never
}

// Entries gives at most limit entries that are chosen, those of a shard in the
// order of their last use, and counts all that are. now is flow.Now. Expired ones
// are left out.
func (t *Table) Entries(typ TableType, now int64, limit int, choose func(EntryInfo) bool) (out []EntryInfo, all int) {
	expire := t.expire.Load()
	shards := *t.shards.Load()
	for i := range shards {
		shards[i].each(func(e *entry) {
			if expire > 0 && now-e.used > expire {
				return
			}
			info := EntryInfo{Key: KeyText(typ, e.key), Server: e.server, Idle: time.Duration(max(now-e.used, 0)), Left: -1}
			if expire > 0 {
				info.Left = time.Duration(expire) - info.Idle
			}
			if !choose(info) {
				return
			}
			if all++; len(out) < limit {
				out = append(out, info)
			}
		})
	}
	return out, all
}

// Clear drops the entries that are chosen, and counts them.
func (t *Table) Clear(typ TableType, choose func(key, server string) bool) (n int) {
	shards := *t.shards.Load()
	for i := range shards {
		s := &shards[i]
		s.mu.Lock()
		for at := s.tail; at != none; {
			e := &s.entries[at]
			before := e.prev
			if choose(KeyText(typ, e.key), e.server) {
				s.drop(at)
				n++
			}
			at = before
		}
		s.mu.Unlock()
	}
	return n
}

// Limits tells what the table may hold, and for how long without use (0: for
// ever).
func (t *Table) Limits() (size int, expire time.Duration) {
	shards := *t.shards.Load()
	for i := range shards {
		shards[i].mu.Lock()
		size += shards[i].size
		shards[i].mu.Unlock()
	}
	return size, time.Duration(t.expire.Load())
}

// KeyText writes a key as people do: an address, text, or "#" and the SHA-256 of a
// text that was too long to be kept. Bytes that are no text are written as \xNN.
func KeyText(typ TableType, key string) string {
	if typ == IPKeys {
		if a, ok := netip.AddrFromSlice([]byte(key)); ok {
			return a.String()
		}
	}
	if len(key) == sha256.Size && !utf8.ValidString(key) {
		return "#" + hex.EncodeToString([]byte(key))
	}
	if utf8.ValidString(key) && !strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return key
	}
	var b strings.Builder
	for i := 0; i < len(key); {
		r, n := utf8.DecodeRuneInString(key[i:])
		if r == utf8.RuneError && n == 1 || r < ' ' || r == 0x7f {
			b.WriteString(`\x` + hex.EncodeToString([]byte(key[i:i+1])))
			i++
			continue
		}
		b.WriteString(key[i : i+n])
		i += n
	}
	return b.String()
}
