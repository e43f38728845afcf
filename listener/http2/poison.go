//go:build !race

package http2

// poison does something under the race detector only.
func (s *stream) poison() {}
