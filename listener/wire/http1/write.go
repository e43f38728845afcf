package http1

import (
	"strconv"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// AppendRequest appends the head of a request to a server. host is used when
// the client (of HTTP/1.0) named none.
func AppendRequest(dst []byte, r *flow.Request, host string) []byte {
	dst = append(append(dst, r.Method...), ' ')
	dst = append(append(dst, r.Target...), " HTTP/1.1\r\n"...)
	if !r.Header.HasID(flow.FieldHost) {
		dst = append(dst, "Host: "...)
		if len(r.Authority) > 0 {
			dst = append(dst, r.Authority...)
		} else {
			dst = append(dst, host...)
		}
		dst = append(dst, '\r', '\n')
	}
	skip := uint64(hop)
	announced := announces(&r.Header, r.ContentLength)
	if !announced {
		skip |= 1 << flow.FieldContentLength
	}
	dst = appendFields(dst, &r.Header, skip)
	switch {
	case r.ContentLength < 0:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	case r.ContentLength > 0 && !announced:
		dst = appendLength(dst, r.ContentLength)
	}
	if len(r.Upgrade) > 0 {
		dst = append(dst, "Connection: Upgrade\r\nUpgrade: "...)
		dst = append(append(dst, r.Upgrade...), '\r', '\n')
	}
	return append(dst, '\r', '\n')
}

// AnswerFraming is how an answer is to be framed for the client at hand.
type AnswerFraming struct {
	Chunked bool // the body is sent in chunks
	// Length is the Content-Length to announce, -1 for none. An answer
	// without a body (to HEAD, 304) may still announce one.
	Length  int64
	Close   bool // Connection: close
	Keep    bool // Connection: keep-alive, which HTTP/1.0 clients must be told
	Upgrade []byte
}

// AppendResponse appends the head of an answer.
func AppendResponse(dst []byte, r *flow.Response, f AnswerFraming) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = append(flow.AppendStatus(dst, r.Status), ' ')
	if r.Reason != nil {
		dst = append(dst, r.Reason...)
	} else {
		dst = append(dst, StatusText(r.Status)...)
	}
	dst = append(dst, '\r', '\n')
	skip := uint64(hop)
	announced := announces(&r.Header, f.Length)
	if !announced {
		skip |= 1 << flow.FieldContentLength
	}
	dst = appendFields(dst, &r.Header, skip)
	if f.Length >= 0 && !announced {
		dst = appendLength(dst, f.Length)
	}
	if f.Chunked {
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	}
	switch {
	case len(f.Upgrade) > 0:
		dst = append(dst, "Connection: Upgrade\r\nUpgrade: "...)
		dst = append(append(dst, f.Upgrade...), '\r', '\n')
	case f.Close:
		dst = append(dst, "Connection: close\r\n"...)
	case f.Keep:
		dst = append(dst, "Connection: keep-alive\r\n"...)
	}
	return append(dst, '\r', '\n')
}

// AppendInterim appends a whole interim answer.
func AppendInterim(dst []byte, status int, h *flow.Header) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = append(flow.AppendStatus(dst, status), ' ')
	dst = append(append(dst, StatusText(status)...), '\r', '\n')
	if h != nil {
		dst = appendFields(dst, h, hop|1<<flow.FieldContentLength)
	}
	return append(dst, '\r', '\n')
}

// appendFields appends the fields that are not in skip.
func appendFields(dst []byte, h *flow.Header, skip uint64) []byte {
	for i := range h.Len() {
		id, name, value, ok := h.At(i)
		if !ok || in(skip, id) {
			continue
		}
		dst = append(append(dst, name...), ':', ' ')
		dst = append(append(dst, value...), '\r', '\n')
	}
	return dst
}

// announces reports whether the header says, once, that the body has n bytes.
// What frames a message is how many bytes will be sent, whatever a module has
// put into the header.
func announces(h *flow.Header, n int64) bool {
	said := false
	for i := range h.Len() {
		id, _, value, _ := h.At(i)
		if id != flow.FieldContentLength {
			continue
		}
		v, ok := parseLength(value)
		if !ok || v != n || said {
			return false
		}
		said = true
	}
	return said
}

func appendLength(dst []byte, n int64) []byte {
	dst = append(dst, "Content-Length: "...)
	return append(strconv.AppendInt(dst, n, 10), '\r', '\n')
}

// StatusText gives the standard reason phrase, "" if there is none.
func StatusText(status int) string {
	if status < 100 || status >= 600 {
		return ""
	}
	return reasons[status]
}

var reasons = [600]string{
	100: "Continue", 101: "Switching Protocols", 102: "Processing", 103: "Early Hints",
	200: "OK", 201: "Created", 202: "Accepted", 203: "Non-Authoritative Information",
	204: "No Content", 205: "Reset Content", 206: "Partial Content", 207: "Multi-Status",
	208: "Already Reported", 226: "IM Used",
	300: "Multiple Choices", 301: "Moved Permanently", 302: "Found", 303: "See Other",
	304: "Not Modified", 305: "Use Proxy", 307: "Temporary Redirect", 308: "Permanent Redirect",
	400: "Bad Request", 401: "Unauthorized", 402: "Payment Required", 403: "Forbidden",
	404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable",
	407: "Proxy Authentication Required", 408: "Request Timeout", 409: "Conflict", 410: "Gone",
	411: "Length Required", 412: "Precondition Failed", 413: "Content Too Large",
	414: "URI Too Long", 415: "Unsupported Media Type", 416: "Range Not Satisfiable",
	417: "Expectation Failed", 421: "Misdirected Request", 422: "Unprocessable Content",
	423: "Locked", 424: "Failed Dependency", 425: "Too Early", 426: "Upgrade Required",
	428: "Precondition Required", 429: "Too Many Requests", 431: "Request Header Fields Too Large",
	451: "Unavailable For Legal Reasons",
	500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway",
	503: "Service Unavailable", 504: "Gateway Timeout", 505: "HTTP Version Not Supported",
	506: "Variant Also Negotiates", 507: "Insufficient Storage", 508: "Loop Detected",
	511: "Network Authentication Required",
}
