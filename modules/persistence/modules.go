package persistence

// Modules gives every way to know a client again.
func Modules() []Module {
	return []Module{cookieModule, sourceModule, headerModule, tableModule}
}
