package http2

import h2 "github.com/loadstar-lb/loadstar/listener/wire/http2"

// charge spends, or ends the connection.
func (c *conn) charge(n int64) bool {
	if c.budget.Spend(n) {
		return true
	}
	c.abandon(h2.CodeCalm)
	return false
}
