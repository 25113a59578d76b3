package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand"
	"testing"
)

func testSpool(t *testing.T, size int64) *spool {
	t.Helper()
	s, err := newSpool(t.TempDir(), size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.file.Close() })
	return s
}

func record(stream byte, data []byte) []byte {
	r := make([]byte, recordHead, recordHead+len(data))
	r[recordHead-frameHead] = stream
	binary.BigEndian.PutUint32(r[recordHead-4:], uint32(len(data)))
	return append(r, data...)
}

// readAll returns the lines from first on, their data copied.
func readAll(s *spool, first uint64) (lines []line) {
	reader := newLineReader(s.cursor(first, true))
	for more := true; more; {
		more = reader.read(func(l line) {
			l.data = bytes.Clone(l.data)
			if l.number >= first {
				lines = append(lines, l)
			}
		})
	}
	return lines
}

// randomOutput is chunks of both streams, with newlines, empty lines and pieces at the cap.
func randomOutput(random *rand.Rand) (records [][]byte, streams [3][]byte) {
	for range 200 {
		stream := byte(1 + random.Intn(2))
		var data []byte
		switch random.Intn(4) {
		case 0:
			data = bytes.Repeat([]byte("é"), 1+random.Intn(12000))
		case 1:
			data = bytes.Repeat([]byte{'\n'}, 1+random.Intn(3))
		case 2:
			data = fmt.Appendf(nil, "line %d\n", random.Intn(1000))
		default:
			data = make([]byte, 1+random.Intn(maxPayload))
			random.Read(data)
		}
		records = append(records, record(stream, data))
		streams[stream] = append(streams[stream], data...)
	}
	return records, streams
}

func TestWhatIsReadIsWhatWasWritten(t *testing.T) {
	for seed := range int64(20) {
		records, streams := randomOutput(rand.New(rand.NewSource(seed)))
		s := testSpool(t, 64<<20)
		for _, r := range records {
			s.append(r)
		}
		s.finish()
		var got [3][]byte
		lines := readAll(s, 1)
		for i, l := range lines {
			if l.number != uint64(i+1) {
				t.Fatalf("seed %d: line %d has number %d", seed, i+1, l.number)
			}
			got[l.stream] = append(got[l.stream], l.data...)
		}
		if !bytes.Equal(got[1], streams[1]) || !bytes.Equal(got[2], streams[2]) {
			t.Fatalf("seed %d: the streams differ", seed)
		}
		if s.lines() != uint64(len(lines)) {
			t.Fatalf("seed %d: %d lines counted, %d read", seed, s.lines(), len(lines))
		}
	}
}

// A reader that begins anywhere, or whose ring was overwritten, sees the same lines under the
// same numbers as one that saw everything.
func TestNumbersDoNotDependOnWhereOneBegins(t *testing.T) {
	for seed := range int64(20) {
		records, _ := randomOutput(rand.New(rand.NewSource(seed)))
		whole, ring := testSpool(t, 64<<20), testSpool(t, 600_000)
		for _, r := range records {
			whole.append(r)
			ring.append(r)
		}
		whole.finish()
		ring.finish()
		every := readAll(whole, 1)
		same := func(lines []line, what string) {
			for _, l := range lines {
				if want := every[l.number-1]; l.stream != want.stream || !bytes.Equal(l.data, want.data) {
					t.Fatalf("seed %d: %s: line %d is another", seed, what, l.number)
				}
			}
		}
		same(readAll(ring, 1), "ring")
		if last := readAll(ring, 1); last[len(last)-1].number != uint64(len(every)) {
			t.Fatalf("seed %d: the ring lacks the end", seed)
		}
		for first := uint64(1); first <= uint64(len(every)); first += 37 {
			tail := readAll(whole, first)
			same(tail, "tail")
			if len(tail) != len(every)-int(first)+1 {
				t.Fatalf("seed %d: %d lines from %d on, of %d", seed, len(tail), first, len(every))
			}
		}
	}
}

func TestReaderKeepsUpWithAWriterThatOverwrites(t *testing.T) {
	s := testSpool(t, 300_000)
	go func() {
		for i := range 50_000 {
			s.append(record(1, fmt.Appendf(nil, "%d\n", i+1)))
		}
		s.finish()
	}()
	last := uint64(0)
	for _, l := range readAll(s, 1) {
		if fmt.Sprintf("%d\n", l.number) != string(l.data) || l.number <= last {
			t.Fatalf("line %d after %d is %q", l.number, last, l.data)
		}
		last = l.number
	}
	if last != 50_000 {
		t.Fatalf("the last line is %d", last)
	}
}

func TestReaderWithoutFollowEndsAndAClosedOneToo(t *testing.T) {
	s := testSpool(t, 1<<20)
	s.append(record(1, []byte("one\ntwo")))
	c := s.cursor(1, false)
	reader, count := newLineReader(c), 0
	for reader.read(func(line) { count++ }) {
	}
	if count != 1 {
		t.Fatalf("%d lines", count)
	}
	follower := s.cursor(2, true)
	done := make(chan bool)
	go func() {
		reader := newLineReader(follower)
		for reader.read(func(line) {}) {
		}
		close(done)
	}()
	follower.close()
	<-done
}

func TestCutterLeavesCharactersWhole(t *testing.T) {
	for offset := range 4 {
		text := append(bytes.Repeat([]byte("x"), offset), bytes.Repeat([]byte("😀"), 10000)...)
		for _, step := range []int{1, 7, len(text)} {
			var c cutter
			var piece []byte
			for data := text; len(data) > 0; {
				n, ends := c.cut(data[:min(step, len(data))])
				piece = append(piece, data[:n]...)
				data = data[n:]
				if !ends {
					continue
				}
				if len(piece) < minPiece || len(piece) > maxPiece || (len(piece)-offset)%4 != 0 && offset > 0 {
					t.Fatalf("a piece of %d bytes", len(piece))
				}
				piece, offset = nil, 0
			}
		}
	}
}

func BenchmarkShortLines(b *testing.B) {
	s, _ := newSpool(b.TempDir(), 64<<20)
	data := bytes.Repeat([]byte("a short line of output\n"), 2000)
	b.SetBytes(int64(len(data)))
	for range b.N {
		s.append(record(1, data))
	}
	b.ReportMetric(float64(2000*b.N)/b.Elapsed().Seconds(), "lines/s")
}
