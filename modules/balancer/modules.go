package balancer

// Modules gives every algorithm, the default first.
func Modules() []Module {
	return []Module{roundRobin, leastConn, random, source}
}
