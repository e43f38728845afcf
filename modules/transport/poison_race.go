//go:build race

package transport

// poison overwrites what the answer lent; see the same in listener/http1.
func (w *work) poison() {
	for i := range w.buf {
		w.buf[i] = 0xdb
	}
}
