package live

import "sync"

// Tx is what one generation holds of any number of registries: first a
// transaction, then, committed, a lease.
type Tx struct {
	mu     sync.Mutex
	sealed bool
	held   map[any]struct{} // entries, to count each once
	drops  []func()
}

// Begin starts a transaction.
func Begin() *Tx { return &Tx{held: map[any]struct{}{}} }

// take notes that an entry is held, once.
func (tx *Tx) take(e any, drop func()) (held, sealed bool) {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	if tx.sealed {
		return false, true
	}
	if _, held = tx.held[e]; held {
		return true, false
	}
	tx.held[e] = struct{}{}
	tx.drops = append(tx.drops, drop)
	return false, false
}

// Commit ends the transaction and keeps what it holds until Release. It cannot
// fail, and does nothing that could: all opening was done by Get.
func (tx *Tx) Commit() {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	tx.sealed, tx.held = true, nil
}

// Rollback ends the transaction and closes what only it held, which is what it
// opened itself. After Commit it does nothing.
func (tx *Tx) Rollback() {
	tx.mu.Lock()
	committed := tx.sealed
	tx.mu.Unlock()
	if !committed {
		tx.Release()
	}
}

// Release lets go of everything, the last taken first, and closes what nobody
// else holds. It is called once the generation has drained; further calls do
// nothing.
func (tx *Tx) Release() {
	tx.mu.Lock()
	drops := tx.drops
	tx.sealed, tx.held, tx.drops = true, nil, nil
	tx.mu.Unlock()
	for i := len(drops) - 1; i >= 0; i-- {
		drops[i]()
	}
}
