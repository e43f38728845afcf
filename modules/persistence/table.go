package persistence

import (
	"cmp"
	"crypto/sha256"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// TableKey names a table across generations: one that keeps it keeps its entries.
type TableKey struct {
	Name string
	Type TableType
}

// TableType is what a table's keys are.
type TableType string

// The types.
const (
	IPKeys     TableType = "ip"
	StringKeys TableType = "string"
)

// TableSpec is a table as configured.
type TableSpec struct {
	TableKey
	Size   int           // entries at most
	Expire time.Duration // without use; 0: never
}

// Table remembers which server a key belongs to. It outlives configurations, so
// its entries name servers and never point at them: a name that a pool does not
// have, or no longer has, is nobody's.
//
// A table is cut into shards, each with a lock of its own that is held for a
// look and a few writes: a use must move its entry to the front, for when the
// table is full the entry goes that was not used for the longest time. Nothing
// is allocated for a key that is known.
type Table struct {
	seed   maphash.Seed
	expire atomic.Int64 // nanoseconds
	shards atomic.Pointer[[]shard]
	limits sync.Mutex // one Limit at a time
}

// NewTable makes an empty table.
func NewTable(size int, expire time.Duration) *Table {
	t := &Table{seed: maphash.MakeSeed()}
	t.Limit(size, expire)
	return t
}

const (
	manyEntries = 4096 // from here on shards pay
	manyShards  = 32
	// longKey is the length in bytes from which on a key is remembered by its
	// hash: clients must not decide how much memory an entry takes.
	longKey = 128
)

// Limit sets what the table may hold. Entries stay as far as there is room for
// them; the ones that were used last stay.
func (t *Table) Limit(size int, expire time.Duration) {
	t.limits.Lock()
	defer t.limits.Unlock()
	t.expire.Store(int64(expire))
	n := 1
	if size >= manyEntries {
		n = manyShards
	}
	old := t.shards.Load()
	if old != nil && len(*old) == n {
		for i := range *old {
			(*old)[i].limit(share(size, n, i))
		}
		return
	}
	next := make([]shard, n)
	for i := range next {
		next[i].limit(share(size, n, i))
	}
	if old != nil { // what is learnt by others meanwhile is learnt again
		var all []entry
		for i := range *old {
			(*old)[i].each(func(e *entry) { all = append(all, *e) })
		}
		slices.SortFunc(all, func(a, b entry) int { return cmp.Compare(a.used, b.used) })
		for i := range all {
			key := []byte(all[i].key)
			t.of(next, key).put(key, all[i].server, all[i].used)
		}
	}
	t.shards.Store(&next)
}

// share is the part of a size that shard i of n has.
func share(size, n, i int) int {
	part := size / n
	if i < size%n {
		part++
	}
	return max(part, 1)
}

func (t *Table) of(shards []shard, key []byte) *shard {
	return &shards[maphash.Bytes(t.seed, key)%uint64(len(shards))]
}

// Get gives the server that a key belongs to, "" if it is not known or was not
// used for too long, and notes the use. now is flow.Now.
func (t *Table) Get(key []byte, now int64) (server string) {
	var room [sha256.Size]byte
	key = short(key, &room)
	return t.of(*t.shards.Load(), key).get(key, now, t.expire.Load())
}

// Put has a key belong to a server.
func (t *Table) Put(key []byte, server string, now int64) {
	var room [sha256.Size]byte
	key = short(key, &room)
	s := t.of(*t.shards.Load(), key)
	s.expire(now, t.expire.Load())
	s.put(key, server, now)
}

// Len counts the entries, those that have expired and are not yet gone included.
func (t *Table) Len() (n int) {
	shards := *t.shards.Load()
	for i := range shards {
		shards[i].mu.Lock()
		n += len(shards[i].index)
		shards[i].mu.Unlock()
	}
	return n
}

func short(key []byte, room *[sha256.Size]byte) []byte {
	if len(key) <= longKey {
		return key
	}
	*room = sha256.Sum256(key)
	return room[:]
}
