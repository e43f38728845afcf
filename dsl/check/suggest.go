package check

import "github.com/loadstar-lb/loadstar/dsl/diag"

// nearest gives the word that a misspelt one was most likely meant to be; see
// diag.Nearest.
func nearest(got string, words []string) string { return diag.Nearest(got, words) }
