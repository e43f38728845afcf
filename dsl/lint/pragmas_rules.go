package lint

import "github.com/loadstar-lb/loadstar/dsl/diag"

// What is wrong with pragmas is found while they are applied (pragma.go).
var (
	pragmaUnknown       = &Rule{Name: "pragma-unknown-rule", Severity: diag.Warning}
	pragmaWithoutReason = &Rule{Name: "pragma-without-reason", Severity: diag.Warning}
	pragmaUnused        = &Rule{Name: "pragma-unused", Severity: diag.Warning}
)
