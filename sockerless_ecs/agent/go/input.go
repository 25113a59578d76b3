package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
)

var errCut = errors.New("the connection was cut")

// frameReader reads what a client sends: the payloads of its frames. The empty frame is io.EOF, and
// nothing else is: crypto/tls takes a cut for an end. Another input may follow it.
type frameReader struct {
	in   *bufio.Reader
	left int // of the current frame
}

// Read returns all of a frame, or as much as there is room for.
func (f *frameReader) Read(into []byte) (int, error) {
	if f.left == 0 {
		var head [frameHead]byte
		if _, err := io.ReadFull(f.in, head[:]); err != nil {
			return 0, errCut
		}
		if [4]byte(head[:4]) != [4]byte{} {
			return 0, errors.New("this is no input frame")
		}
		if f.left = int(binary.BigEndian.Uint32(head[4:])); f.left == 0 {
			return 0, io.EOF
		}
	}
	n, err := io.ReadFull(f.in, into[:min(len(into), f.left)])
	f.left -= n
	if err != nil {
		return n, errCut
	}
	return n, nil
}
