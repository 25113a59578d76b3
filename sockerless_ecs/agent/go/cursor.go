package main

import (
	"encoding/binary"
	"sort"
)

// cursor is one reader's place.
type cursor struct {
	spool  *spool
	offset int64
	until  int64 // where it ends; negative: at the end of the output
	closed bool
}

// cursor starts where line first (or the oldest that is left) begins, perhaps earlier.
func (s *spool) cursor(first uint64, follow bool) *cursor {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &cursor{spool: s, offset: s.tail, until: -1}
	if !follow {
		c.until = s.head
	}
	later := sort.Search(len(s.marks), func(i int) bool { return s.marks[i].number > first })
	if later > 0 {
		c.offset = max(s.tail, s.marks[later-1].from)
	}
	return c
}

// attach is a cursor where the attach stream is at a position, or at the nearest one that is left,
// which it returns too. It holds the writer until it is closed. What it reads begins with whole
// records: so many bytes of their stream are to be skipped.
func (s *spool) attach(wanted uint64) (c *cursor, skip int, position uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c = &cursor{spool: s, offset: s.tail, until: -1}
	s.holders[c] = struct{}{}
	wanted = min(wanted, s.position)
	if later := sort.Search(len(s.marks), func(i int) bool { return s.marks[i].position > wanted }); later > 0 {
		c.offset = max(s.tail, s.marks[later-1].offset)
	}
	for c.offset < s.head {
		size, before := s.record(c.offset)
		if wanted < before+s.attached(size) {
			position = max(wanted, before)
			return c, int(position - before), position
		}
		c.offset += size
	}
	return c, 0, s.position
}

// read fills buffer (at least one record long) with whole records, waiting for the first. lost:
// records were overwritten before them. None: the output has ended, or the cursor has.
func (c *cursor) read(buffer []byte) (records []byte, lost bool) {
	s := c.spool
	for {
		c.wait()
		s.mu.Lock()
		if c.offset < s.tail {
			c.offset, lost = s.tail, true
		}
		end := s.head
		if c.until >= 0 {
			end = min(end, c.until)
		}
		over := c.closed || c.offset >= end // only we move the offset: still true what wait saw
		s.mu.Unlock()
		if over {
			return nil, lost
		}
		chunk := buffer[:min(int64(len(buffer)), end-c.offset)]
		s.at(chunk, c.offset, s.file.ReadAt)
		whole := wholeRecords(chunk)
		if c.advance(int64(whole)) {
			return chunk[:whole], lost
		}
	}
}

// wait returns when there is something to read, or never will be.
func (c *cursor) wait() {
	c.spool.mu.Lock()
	defer c.spool.mu.Unlock()
	for c.offset == c.spool.head && !c.spool.finished && !c.closed && c.until < 0 {
		c.spool.changed.Wait()
	}
}

// advance moves on, unless what was read had been overwritten meanwhile.
func (c *cursor) advance(bytes int64) bool {
	c.spool.mu.Lock()
	defer c.spool.mu.Unlock()
	if c.offset < c.spool.tail {
		return false
	}
	c.offset += bytes
	c.spool.room.Broadcast()
	return true
}

// atEnd: everything that was written has been read.
func (c *cursor) atEnd() bool {
	c.spool.mu.Lock()
	defer c.spool.mu.Unlock()
	return !c.closed && c.offset == c.spool.head
}

func (c *cursor) close() {
	c.spool.mu.Lock()
	defer c.spool.mu.Unlock()
	c.closed = true
	delete(c.spool.holders, c)
	c.spool.room.Broadcast()
	c.spool.changed.Broadcast()
}

// wholeRecords is the length of the complete records at the beginning; it may look at bytes that
// are being overwritten, so it trusts no length.
func wholeRecords(chunk []byte) (whole int) {
	for len(chunk)-whole >= recordHead {
		size := recordHead + int(binary.BigEndian.Uint32(chunk[whole+recordHead-4:]))
		if whole+size > len(chunk) {
			break
		}
		whole += size
	}
	return whole
}
