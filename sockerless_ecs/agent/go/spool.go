package main

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	maxPayload = 64 << 10
	frameHead  = 8
	// A record is: time (8), number of the next line to end (8), attach stream before it (8), bytes
	// of its stream's unfinished line (4), Docker's frame header (8), payload. Chunks stay as they
	// came, so they can be replayed byte for byte; the rest lets a reader begin at any record.
	recordHead = 28 + frameHead
	markEvery  = 256 << 10
)

// spool is one run's output in one bounded file used as a ring. Readers are cursors on it, each
// at its own pace; the writer waits for those that hold it, and the others are told when they lost
// something.
type spool struct {
	mu       sync.Mutex
	changed  *sync.Cond
	room     *sync.Cond // a holder has moved on
	tty      bool       // an attach stream is raw bytes, else frames
	file     *os.File
	size     int64
	tail     int64 // logical offset of the oldest record
	head     int64 // logical offset of the next one
	cutters  [3]cutter
	lineFrom [3]int64 // where a stream's unfinished line begins
	next     uint64   // number of the next line to end
	position uint64   // bytes of the attach stream so far
	last     int64    // time of the newest record
	marks    []mark
	holders  map[*cursor]struct{}
	released bool // nobody holds the writer any more
	finished bool
}

// mark says that every line numbered from number on begins at or after from, and that the attach
// stream is at position where the record at offset begins.
type mark struct {
	offset, from int64
	number       uint64
	position     uint64
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
	s := &spool{file: file, size: size, next: 1, holders: map[*cursor]struct{}{}}
	s.changed, s.room = sync.NewCond(&s.mu), sync.NewCond(&s.mu)
	return s, os.Remove(filepath.Join(dir, filepath.Base(file.Name())))
}

// append stores a record whose stream, length and payload are set, and numbers its lines.
func (s *spool) append(record []byte) {
	stream := record[recordHead-frameHead]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.makeRoom(int64(len(record)))
	s.last = max(time.Now().UnixNano(), s.last)
	s.mark()
	cut := &s.cutters[stream]
	binary.BigEndian.PutUint64(record, uint64(s.last))
	binary.BigEndian.PutUint64(record[8:], s.next)
	binary.BigEndian.PutUint64(record[16:], s.position)
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
	s.position += s.attached(int64(len(record)))
	s.at(record, s.head, s.file.WriteAt)
	s.head += int64(len(record))
	s.changed.Broadcast()
}

// attached is what a record of so many bytes is in the attach stream.
func (s *spool) attached(size int64) uint64 {
	if s.tty {
		return uint64(size - recordHead)
	}
	return uint64(size - recordHead + frameHead)
}

// makeRoom gives the oldest records up, once nobody holds them.
func (s *spool) makeRoom(bytes int64) {
	for s.head+bytes-s.tail > s.size {
		if s.isHeld() {
			s.room.Wait()
			continue
		}
		size, _ := s.record(s.tail)
		s.tail += size
	}
	for len(s.marks) > 0 && s.marks[0].from < s.tail {
		s.marks = s.marks[1:]
	}
}

func (s *spool) isHeld() bool {
	if s.released {
		return false
	}
	for c := range s.holders {
		if c.offset == s.tail {
			return true
		}
	}
	return false
}

// release lets the writer go on, whoever is behind.
func (s *spool) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.released = true
	s.room.Broadcast()
}

// record is the size of the record at an offset, and the attach stream's position before it.
func (s *spool) record(offset int64) (size int64, position uint64) {
	var head [recordHead]byte
	s.at(head[:], offset, s.file.ReadAt)
	return recordHead + int64(binary.BigEndian.Uint32(head[recordHead-4:])), binary.BigEndian.Uint64(head[16:])
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
	s.marks = append(s.marks, mark{s.head, from, s.next, s.position})
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
