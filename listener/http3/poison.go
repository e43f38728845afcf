//go:build !race

package http3

// poison does something under the race detector only.
func (s *stream) poison() {}
