package certs

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/crypto/ocsp"
)

// staple is what is known of a certificate's status. The store's mutex guards it.
type staple struct {
	until    time.Time // when the staple is no good any more
	next     time.Time // when to ask again
	failures int
	asking   bool
}

const (
	ocspTimeout  = 10 * time.Second
	ocspLimit    = 64 << 10
	ocspRetry    = time.Minute // doubled with each failure, up to
	ocspRetryMax = time.Hour
)

// staples asks responders for what is due, each in the background, and takes
// staples off that are no longer fresh.
func (s *Store) staples() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for i := range s.sets {
		for _, e := range s.sets[i].entries {
			if !e.ocsp.until.IsZero() && now.After(e.ocsp.until) {
				e.setStaple(nil)
				e.ocsp.until = time.Time{}
			}
			if len(e.leaf.OCSPServer) == 0 || len(e.chain) < 2 || e.ocsp.asking || now.Before(e.ocsp.next) {
				continue
			}
			e.ocsp.asking = true
			go s.ask(e)
		}
	}
}

// ask has one certificate's status confirmed.
func (s *Store) ask(e *entry) {
	answer, raw, err := fetchStatus(e)
	s.mu.Lock()
	defer s.mu.Unlock()
	e.ocsp.asking = false
	now := time.Now()
	if err != nil {
		wait := min(ocspRetry<<min(e.ocsp.failures, 6), ocspRetryMax)
		if e.ocsp.failures++; e.ocsp.failures == 1 {
			s.log.Warn("no OCSP answer; trying again", "certificate", e.leaf.Subject.String(), "error", err)
		}
		e.ocsp.next = now.Add(wait)
		return
	}
	e.ocsp.failures = 0
	e.ocsp.until = answer.NextUpdate
	if answer.NextUpdate.IsZero() { // RFC 6960 §2.4: newer information is always to be had
		e.ocsp.until = now.Add(time.Hour)
	}
	// Half-way leaves as much time again for responders that are down.
	e.ocsp.next = now.Add(max(time.Minute, e.ocsp.until.Sub(now)/2))
	e.setStaple(raw)
}

func (e *entry) setStaple(raw []byte) {
	c := *e.cert.Load()
	c.OCSPStaple = raw
	e.cert.Store(&c)
}

// fetchStatus asks the responder that the certificate names (RFC 6960, appendix
// A.1) and checks its answer: signed, of this certificate, fresh, and good.
func fetchStatus(e *entry) (*ocsp.Response, []byte, error) {
	question, err := ocsp.CreateRequest(e.leaf, e.chain[1], &ocsp.RequestOptions{Hash: crypto.SHA1})
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), ocspTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.leaf.OCSPServer[0], bytes.NewReader(question))
	if err != nil {
		return nil, nil, err
	}
	r.Header.Set("Content-Type", "application/ocsp-request")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("the responder answered %s", res.Status)
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, ocspLimit))
	if err != nil {
		return nil, nil, err
	}
	answer, err := ocsp.ParseResponseForCert(raw, e.leaf, e.chain[1])
	switch {
	case err != nil:
		return nil, nil, err
	case answer.Status != ocsp.Good:
		return nil, nil, errors.New("the responder does not call the certificate good: it is revoked or unknown")
	case time.Now().Before(answer.ThisUpdate.Add(-5 * time.Minute)): // clocks differ a little
		return nil, nil, errors.New("the answer is from the future")
	case !answer.NextUpdate.IsZero() && time.Now().After(answer.NextUpdate):
		return nil, nil, errors.New("the answer is stale")
	}
	return answer, raw, nil
}
