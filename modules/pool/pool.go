// Package pool holds pools: servers, policy, affinity, health and transport as
// one value.
package pool

// Pool is one pool of one generation.
type Pool struct{ Name string }
