package main

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"sort"
	"sync"
	"time"
)

const (
	maxPayload = 64 << 10
	frameHead  = 8
	// A record is: time (8), number of the next line to end (8), output bytes before it (8), bytes
	// of its stream's unfinished line (4), Docker's frame header (8), payload. Chunks stay as they
	// came, so they can be replayed byte for byte; the rest lets a reader begin at any record.
	recordHead = 28 + frameHead
	markEvery  = 256 << 10
)

// spool is one run's output in one bounded file used as a ring. Readers are cursors on it, each
// at its own pace; the writer never waits for them, and they are told when they lost something.
type spool struct {
	mu       sync.Mutex
	changed  *sync.Cond
	file     *os.File
	size     int64
	tail     int64 // logical offset of the oldest record
	head     int64 // logical offset of the next one
	cutters  [3]cutter
	lineFrom [3]int64 // where a stream's unfinished line begins
	next     uint64   // number of the next line to end
	bytes    uint64   // output so far
	last     int64    // time of the newest record
	marks    []mark
	finished bool
}

// mark says that every line numbered from number on begins at or after from.
type mark struct {
	offset, from int64
	number       uint64
}

// newSpool makes the file and takes its name away: nobody else can see or change it, and its
// space returns when the last reader lets it go.
func newSpool(dir string, size int64) (*spool, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	file, err := os.CreateTemp(dir, "run-")
	if err != nil {
		return nil, err
	}
	s := &spool{file: file, size: size, next: 1}
	s.changed = sync.NewCond(&s.mu)
	return s, os.Remove(filepath.Join(dir, filepath.Base(file.Name())))
}

// append stores a record whose stream, length and payload are set, and numbers its lines.
func (s *spool) append(record []byte) {
	stream := record[recordHead-frameHead]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = max(time.Now().UnixNano(), s.last)
	s.makeRoom(int64(len(record)))
	s.mark()
	cut := &s.cutters[stream]
	binary.BigEndian.PutUint64(record, uint64(s.last))
	binary.BigEndian.PutUint64(record[8:], s.next)
	binary.BigEndian.PutUint64(record[16:], s.bytes)
	binary.BigEndian.PutUint32(record[24:], uint32(cut.column))
	if cut.column == 0 {
		s.lineFrom[stream] = s.head
	}
	for rest := record[recordHead:]; len(rest) > 0; {
		n, ends := cut.cut(rest)
		if ends {
			s.next++
			s.lineFrom[stream] = s.head
		}
		rest = rest[n:]
	}
	s.bytes += uint64(len(record) - recordHead)
	s.at(record, s.head, s.file.WriteAt)
	s.head += int64(len(record))
	s.changed.Broadcast()
}

// makeRoom gives the oldest records up.
func (s *spool) makeRoom(bytes int64) {
	var head [recordHead]byte
	for s.head+bytes-s.tail > s.size {
		s.at(head[:], s.tail, s.file.ReadAt)
		s.tail += recordHead + int64(binary.BigEndian.Uint32(head[recordHead-4:]))
	}
	for len(s.marks) > 0 && s.marks[0].from < s.tail {
		s.marks = s.marks[1:]
	}
}

// mark remembers now and then where the next line begins, so that a reader of the end need not
// read everything.
func (s *spool) mark() {
	if len(s.marks) > 0 && s.head-s.marks[len(s.marks)-1].offset < markEvery {
		return
	}
	from := s.head
	for stream, cut := range s.cutters {
		if cut.column > 0 {
			from = min(from, s.lineFrom[stream])
		}
	}
	s.marks = append(s.marks, mark{offset: s.head, from: from, number: s.next})
}

// at reads or writes at a logical offset, around the end of the ring.
func (s *spool) at(b []byte, offset int64, do func([]byte, int64) (int, error)) {
	position := offset % s.size
	first := min(int64(len(b)), s.size-position)
	do(b[:first], position)
	if first < int64(len(b)) {
		do(b[first:], 0)
	}
}

// finish says that no output follows.
func (s *spool) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finished = true
	s.changed.Broadcast()
}

// lines counts what has a number: unfinished lines get the last ones.
func (s *spool) lines() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	total := s.next - 1
	for _, cut := range s.cutters {
		if cut.column > 0 {
			total++
		}
	}
	return total
}

// ended says how far the numbered lines go, and the unfinished ones behind them.
func (s *spool) ended() (finished bool, next uint64, cutters [3]cutter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.finished, s.next, s.cutters
}

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
