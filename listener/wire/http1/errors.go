package http1

import "errors"

// ErrMore means that the bytes end before the message part does.
var ErrMore = errors.New("http1: more bytes needed")

// SyntaxError says what is wrong with a message, and the status that a client
// who sent it gets.
type SyntaxError struct {
	Status int
	Reason string
}

// Error gives the reason.
func (e *SyntaxError) Error() string { return "http1: " + e.Reason }

func bad(reason string) *SyntaxError { return &SyntaxError{Status: 400, Reason: reason} }

// The errors are values made once: refusing must be as cheap as accepting.
var (
	errLineEnd        = bad("line ends without CR LF")
	errRequestLine    = bad("malformed request line")
	errMethod         = bad("method is no token")
	errTarget         = bad("malformed request target")
	errVersion        = bad("malformed HTTP version")
	errVersionUnknown = &SyntaxError{Status: 505, Reason: "HTTP version not supported"}
	errFieldName      = bad("malformed field name")
	errFieldValue     = bad("forbidden byte in a field value")
	errFold           = bad("folded header line")
	errHostMissing    = bad("Host is missing")
	errHostTwice      = bad("more than one Host")
	errHostInvalid    = bad("malformed Host")
	errHostDiffers    = bad("Host differs from the request target")
	errLength         = bad("malformed Content-Length")
	errLengthTwice    = bad("more than one Content-Length")
	errLengthAndTE    = bad("Content-Length beside Transfer-Encoding")
	errCoding         = bad("Transfer-Encoding other than chunked")
	errCoding10       = bad("Transfer-Encoding in HTTP/1.0")
	errConnectBody    = bad("CONNECT with a body")
	errExpect         = &SyntaxError{Status: 417, Reason: "unknown expectation"}
	errFields         = &SyntaxError{Status: 431, Reason: "too many header fields"}
	errStatusLine     = bad("malformed status line")
	errChunk          = bad("malformed chunk")
	errTrailer        = bad("malformed trailer")

	// ErrHeadTooLarge is for callers whose buffer reached its limit.
	ErrHeadTooLarge = &SyntaxError{Status: 431, Reason: "header too large"}
	// ErrTargetTooLong is the same while still within the request line.
	ErrTargetTooLong = &SyntaxError{Status: 414, Reason: "request target too long"}
)
