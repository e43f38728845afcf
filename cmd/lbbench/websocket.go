//go:build linux

package main

import (
	"bufio"
	"crypto/sha1" //nolint:gosec // RFC 6455 asks for it
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
)

// The least of WebSocket that a tunnel's test needs: single unfragmented
// messages below 64 KiB (RFC 6455 §5.2).

var errFrame = errors.New("not a frame of this test")

const websocketKey = "bG9hZHN0YXItc29hay1rZXk="

// websocketAccept answers a key (RFC 6455 §4.2.2).
func websocketAccept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // as above
	return base64.StdEncoding.EncodeToString(sum[:])
}

// appendFrame appends one text message. Clients must mask (§5.3); the mask is
// fixed, for nothing between the two ends is to be protected here.
func appendFrame(b, message []byte, mask bool) []byte {
	bit := byte(0)
	if mask {
		bit = 0x80
	}
	b = append(b, 0x81)
	if len(message) < 126 {
		b = append(b, bit|byte(len(message)))
	} else {
		b = append(b, bit|126)
		b = binary.BigEndian.AppendUint16(b, uint16(len(message)))
	}
	if !mask {
		return append(b, message...)
	}
	key := [4]byte{0x13, 0x57, 0x9b, 0xdf}
	b = append(b, key[:]...)
	for i, c := range message {
		b = append(b, c^key[i%4])
	}
	return b
}

// readFrame reads one message.
func readFrame(br *bufio.Reader) ([]byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(br, head[:]); err != nil {
		return nil, err
	}
	if head[0] != 0x81 || head[1]&0x7f == 127 {
		return nil, errFrame
	}
	n := int(head[1] & 0x7f)
	if n == 126 {
		var long [2]byte
		if _, err := io.ReadFull(br, long[:]); err != nil {
			return nil, err
		}
		n = int(binary.BigEndian.Uint16(long[:]))
	}
	var key [4]byte
	if head[1]&0x80 != 0 {
		if _, err := io.ReadFull(br, key[:]); err != nil {
			return nil, err
		}
	}
	message := make([]byte, n)
	if _, err := io.ReadFull(br, message); err != nil {
		return nil, err
	}
	for i := range message {
		message[i] ^= key[i%4]
	}
	return message, nil
}

// serveWebSocket agrees to an upgrade and echoes messages.
func serveWebSocket(c io.Writer, br *bufio.Reader, key string) {
	_, err := io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "+
		websocketAccept(key)+"\r\n\r\n")
	for err == nil {
		var message []byte
		if message, err = readFrame(br); err == nil {
			_, err = c.Write(appendFrame(nil, message, false))
		}
	}
}
