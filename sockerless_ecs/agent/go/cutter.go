package main

import "bytes"

// The log driver takes 16 KiB at once, our marker and the newline included: a longer line is cut
// into pieces of maxPiece bytes, or up to three less where that would split a UTF-8 character.
// So every piece of minPiece bytes or more is continued by the next one of its stream (which may
// be just a newline), and no other is: pieces join again without a flag.
const (
	driverLine = 16 << 10
	maxPiece   = driverLine - len(stderrMark) - 1
	minPiece   = maxPiece - 3
)

// cutter cuts one stream into pieces, each of which is numbered as a line.
type cutter struct{ column int }

// cut returns how many of data's bytes belong to the current piece (with its newline), and
// whether they end it; that can be none, when only the next byte shows that it has ended.
func (c *cutter) cut(data []byte) (n int, ends bool) {
	if room := minPiece - c.column; room > 0 {
		n = min(room, len(data))
		if i := bytes.IndexByte(data[:n], '\n'); i >= 0 {
			c.column = 0
			return i + 1, true
		}
	}
	for n < len(data) && c.column+n >= minPiece {
		continuesCharacter := data[n]&0xC0 == 0x80
		if !continuesCharacter || c.column+n == maxPiece {
			c.column = 0
			return n, true
		}
		n++
	}
	c.column += n
	return n, false
}
