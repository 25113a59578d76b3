package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
)

const piecesAhead = 4 // of input that are read before the process takes them

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
		if err := f.next(); err != nil {
			return 0, err
		}
	}
	n, err := io.ReadFull(f.in, into[:min(len(into), f.left)])
	f.left -= n
	if err != nil {
		return n, errCut
	}
	return n, nil
}

func (f *frameReader) next() error {
	var head [frameHead]byte
	if _, err := io.ReadFull(f.in, head[:]); err != nil {
		return errCut
	}
	if [4]byte(head[:4]) != [4]byte{} {
		return errors.New("this is no input frame")
	}
	if f.left = int(binary.BigEndian.Uint32(head[4:])); f.left == 0 {
		return io.EOF
	}
	return nil
}

// feed reads a client's input until its connection ends, and has it taken meanwhile: a frame at a
// time, or a part of a large one, and nil for the end of an input. It reads ahead, since only who
// reads sees that a client has gone. At last it is cut, when all that was read has been taken.
func feed(in *bufio.Reader, take func(piece []byte), cut func()) {
	pieces := make(chan []byte, piecesAhead)
	go func() {
		for piece := range pieces {
			take(piece)
		}
		cut()
	}()
	defer close(pieces)
	frames := &frameReader{in: in}
	for {
		if frames.left == 0 {
			if err := frames.next(); err == io.EOF {
				pieces <- nil
				continue
			} else if err != nil {
				return
			}
		}
		piece := make([]byte, min(frames.left, maxPayload))
		if _, err := frames.Read(piece); err != nil {
			return
		}
		pieces <- piece
	}
}
