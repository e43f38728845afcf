// Package live lends what outlives a configuration: health verdicts, idle
// connections, log sinks, tables. Each generation takes what it needs in one
// transaction; what is still wanted by a newer generation is the same value,
// with all that it has learnt, and what nobody wants any more is closed once
// its last generation has drained.
//
//	tx := live.Begin()
//	v, err := servers.Get(tx, key, open) // of as many registries as are needed
//	tx.Rollback()                        // refused: only what this attempt opened is closed
//	tx.Commit()                          // accepted: cannot fail
//	tx.Release()                         // after the drain of that generation
//
// A value is counted by the transactions that hold it, not by who came last.
// So a value that one generation drops and a later one wants again, while the
// first still drains, is revived rather than opened twice.
package live

import (
	"errors"
	"sync"
)

// ErrSealed is what Get gives on a transaction that has ended.
var ErrSealed = errors.New("live: transaction has ended")

// Registry lends values of one kind by key. It may be used from any goroutine.
type Registry[K comparable, V any] struct {
	close   func(K, V)
	mu      sync.Mutex
	entries map[K]*entry[V]
}

// entry is one value. refs is guarded by the registry's mutex; value and open
// by the entry's own, which is held while opening and closing, so that a key
// is never open twice (a port, a file) however slow its close is.
type entry[V any] struct {
	refs  int
	mu    sync.Mutex
	open  bool
	value V
}

// New gives an empty registry. close ends a value that nobody holds any more;
// nil if there is nothing to do. It may block, and must not use the same key of
// the same registry.
func New[K comparable, V any](close func(K, V)) *Registry[K, V] {
	return &Registry[K, V]{close: close, entries: map[K]*entry[V]{}}
}

// Get lends the value of a key to a transaction, opening it if nobody has it.
// An error is open's own, or ErrSealed. open must not Get the same key.
func (r *Registry[K, V]) Get(tx *Tx, key K, open func() (V, error)) (V, error) {
	r.mu.Lock()
	e := r.entries[key]
	fresh := e == nil
	if fresh {
		e = &entry[V]{}
		r.entries[key] = e
	}
	held, sealed := tx.take(e, func() { r.drop(key, e) })
	if !held && !sealed {
		e.refs++
	}
	if sealed && fresh { // an entry that is there without holders is being closed
		delete(r.entries, key)
	}
	r.mu.Unlock()
	if sealed {
		var zero V
		return zero, ErrSealed
	}
	return e.get(open)
}

// get opens the value if need be. After an error the transaction still holds
// the empty entry, which goes with its end.
func (e *entry[V]) get(open func() (V, error)) (V, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.open {
		return e.value, nil
	}
	v, err := open()
	if err != nil {
		var zero V
		return zero, err
	}
	e.value, e.open = v, true
	return v, nil
}

// drop takes one holder from an entry and closes the value with the last one.
func (r *Registry[K, V]) drop(key K, e *entry[V]) {
	r.mu.Lock()
	e.refs--
	last := e.refs == 0
	r.mu.Unlock()
	if !last {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	// Between the two locks someone may have revived the value, or have
	// revived and dropped it again and closed it by now.
	r.mu.Lock()
	unused := e.refs == 0
	r.mu.Unlock()
	if !unused {
		return
	}
	if e.open {
		v := e.value
		var zero V
		e.value, e.open = zero, false
		if r.close != nil {
			r.close(key, v)
		}
	}
	r.mu.Lock()
	// Of two drops that were both the last, the slower one must not take away
	// the entry that was made since.
	if e.refs == 0 && r.entries[key] == e {
		delete(r.entries, key)
	}
	r.mu.Unlock()
}

// Len tells how many values are held.
func (r *Registry[K, V]) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.entries)
}

// Each calls f for every open value, in no order, without holding the registry;
// it waits for values that are being opened.
func (r *Registry[K, V]) Each(f func(K, V)) {
	r.mu.Lock()
	all := make(map[K]*entry[V], len(r.entries))
	for k, e := range r.entries {
		all[k] = e
	}
	r.mu.Unlock()
	for k, e := range all {
		e.mu.Lock()
		v, open := e.value, e.open
		e.mu.Unlock()
		if open {
			f(k, v)
		}
	}
}
