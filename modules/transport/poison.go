//go:build !race

package transport

// poison does something under the race detector only.
func (w *work) poison() {}

func (*stream) poison() {}

func (*strand) poison() {}
