package balancer

// Modules gives every algorithm, the default first.
func Modules() []Module {
	return []Module{
		roundRobin, staticRR, leastConn, first, random, peakEWMA,
		source, uri, urlParam, header, hash,
	}
}
