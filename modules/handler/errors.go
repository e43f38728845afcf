package handler

// ErrorPages are the bodies a site answers errors with.
type ErrorPages struct{}
