package http1

// panicked ends the exchange in which something panicked. It does not recover:
// whoever accepted the connection does, and says where the panic came from.
func (c *conn) panicked() {
	s := c.s
	c.fd, c.done, c.linger, c.serving = noFD, true, false, false
	s.answer.keep = false
	s.x.Panicked()
	c.s = nil // what it borrowed is given back to nobody
	c.fc.Idle()
}
