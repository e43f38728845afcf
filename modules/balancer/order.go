package balancer

import (
	"cmp"
	"slices"
)

// byWeight gives the indexes of weights, heaviest first, equal ones in order.
func byWeight(weights []int) []int {
	order := make([]int, len(weights))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(weights[b], weights[a]) })
	return order
}
