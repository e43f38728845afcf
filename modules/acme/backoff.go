package acme

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

// backoff is how long to wait after a failure. An authority that cannot be reached
// is asked again soon: that costs nothing. One that has refused counts: Let's
// Encrypt, five failed validations of a name in an hour.
func backoff(attempt int, err error) time.Duration {
	first, most := 5*time.Second, 5*time.Minute
	var p acme.Problem
	if errors.As(err, &p) && p.Status < http.StatusInternalServerError {
		first, most = time.Minute, 6*time.Hour
		if p.Type == acme.ProblemTypeRateLimited {
			first = 15 * time.Minute
		}
	}
	wait := most
	if n := attempt - 1; n < 16 && first<<n < most {
		wait = first << n
	}
	// Nodes that were started together must not come back together.
	return wait - time.Duration(rand.Int64N(int64(wait)/5))
}
