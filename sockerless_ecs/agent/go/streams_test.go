package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"math/rand"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// attached returns the attach stream from a position on, and where it begins.
func attached(t *testing.T, s *spool, wanted uint64) (stream []byte, position uint64) {
	t.Helper()
	c, skip, position := s.attach(wanted)
	defer c.close()
	buffer := make([]byte, 4*(maxPayload+recordHead))
	for {
		records, lost := c.read(buffer)
		if lost {
			t.Fatal("a holder has lost something")
		}
		if len(records) == 0 {
			return stream, position
		}
		stream = append(stream, attachStream(records, s.tty)[skip:]...)
		skip = 0
	}
}

func TestAttachStreamIsTheSameFromAnyPosition(t *testing.T) {
	for seed := range int64(4) {
		for _, tty := range []bool{false, true} {
			records, _ := randomOutput(rand.New(rand.NewSource(seed)))
			whole, ring := testSpool(t, 64<<20), testSpool(t, 600_000)
			whole.tty, ring.tty = tty, tty
			var want []byte
			for _, r := range records {
				want = append(want, attachStream(bytes.Clone(r), tty)...)
				whole.append(r)
				ring.append(bytes.Clone(r))
			}
			whole.finish()
			ring.finish()
			random := rand.New(rand.NewSource(seed))
			for _, from := range []int{0, 1, frameHead, len(want), random.Intn(len(want)), random.Intn(len(want))} {
				if got, position := attached(t, whole, uint64(from)); position != uint64(from) || !bytes.Equal(got, want[from:]) {
					t.Fatalf("seed %d, tty %t: from %d: %d bytes at %d", seed, tty, from, len(got), position)
				}
				got, position := attached(t, ring, uint64(from))
				if position < uint64(from) || !bytes.Equal(got, want[position:]) {
					t.Fatalf("seed %d, tty %t: ring from %d: %d bytes at %d", seed, tty, from, len(got), position)
				}
			}
			if _, position := attached(t, whole, 1<<63); position != uint64(len(want)) {
				t.Fatalf("beyond the end is %d", position)
			}
		}
	}
}

func TestWriterWaitsForWhoHoldsItUntilItIsClosedOrReleased(t *testing.T) {
	for _, end := range []string{"read", "close", "release"} {
		s := testSpool(t, 4*(maxPayload+recordHead))
		c, _, _ := s.attach(0)
		done := make(chan bool)
		go func() {
			for range 20 {
				s.append(record(1, make([]byte, maxPayload)))
			}
			s.finish()
			close(done)
		}()
		select {
		case <-done:
			t.Fatal("the writer did not wait")
		case <-time.After(20 * time.Millisecond):
		}
		switch end {
		case "close":
			c.close()
		case "release":
			s.release()
		case "read":
			buffer := make([]byte, maxPayload+recordHead)
			for total := 0; total < 20*(maxPayload+recordHead); {
				records, lost := c.read(buffer)
				if lost {
					t.Fatal("it has lost something")
				}
				total += len(records)
			}
		}
		<-done
	}
}

func framed(stream ...string) *bufio.Reader {
	var all []byte
	for _, text := range stream {
		all = binary.BigEndian.AppendUint32(append(all, 0, 0, 0, 0), uint32(len(text)))
		all = append(all, text...)
	}
	return bufio.NewReaderSize(bytes.NewReader(all), 16)
}

func TestInputIsTakenByTheFrameAndOnlyAnEmptyOneEndsIt(t *testing.T) {
	large := strings.Repeat("x", maxPayload+5)
	var got []string
	cut := make(chan bool)
	feed(framed("a", "bc", "", large, "d"), func(piece []byte) {
		if piece == nil {
			got = append(got, "end")
		} else {
			got = append(got, string(piece))
		}
	}, func() { close(cut) })
	<-cut
	if want := []string{"a", "bc", "end", large[:maxPayload], "xxxxx", "d"}; !slices.Equal(got, want) {
		t.Fatalf("%d pieces", len(got))
	}
}

func TestInputThatIsCutIsNotAnEnd(t *testing.T) {
	for _, c := range []struct {
		bytes string
		end   error
	}{
		{"", errCut}, {"\x00\x00\x00", errCut}, {"\x00\x00\x00\x00\x00\x00\x00\x05abc", errCut},
		{"\x00\x00\x00\x00\x00\x00\x00\x02ab\x00\x00\x00\x00\x00\x00\x00\x00", nil},
	} {
		_, err := io.ReadAll(&frameReader{in: bufio.NewReader(strings.NewReader(c.bytes))})
		if err != c.end {
			t.Errorf("%q: %v", c.bytes, err)
		}
	}
	if _, err := io.ReadAll(&frameReader{in: bufio.NewReader(strings.NewReader("\x01\x00\x00\x00\x00\x00\x00\x00"))}); err == nil || err == errCut {
		t.Errorf("an output frame: %v", err)
	}
}

func TestExecIsTheRunsButForWhatWasAsked(t *testing.T) {
	run := spec{Run: "r", Argv: []string{"x"}, Env: []string{"A=1", "B=1"}, Cwd: "/w", User: "u", Groups: []string{"g"},
		CapDrop: []string{"ALL"}, NoNewPrivs: true, TTY: true, Stdin: true, Rows: 1, Columns: 2, Hostname: "h"}
	got := execRequest{ID: "e", Run: "r", Argv: []string{"y"}, Env: []string{"B=2"}, Stdin: true, Detach: true}.of(run)
	want := run
	want.Argv, want.Env = []string{"y"}, []string{"A=1", "B=1", "B=2"}
	want.TTY, want.Stdin, want.Rows, want.Columns = false, false, 0, 0
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	other := execRequest{ID: "e", Run: "r", Cwd: "/", User: "v", TTY: true, Stdin: true, Rows: 3, Columns: 4}.of(run)
	if other.Cwd != "/" || other.User != "v" || !other.TTY || !other.Stdin || other.Rows != 3 || other.Columns != 4 {
		t.Errorf("%+v", other)
	}
	if len(run.Env) != 2 {
		t.Error("the run's own environment has changed")
	}
}

func TestNewestEndedExecsAreRemembered(t *testing.T) {
	table := newExecTable()
	for n := range keptExecs + 10 {
		id := string(rune('a'+n%26)) + string(rune(0x100+n))
		if !table.claim(id) || table.claim(id) {
			t.Fatal("an id is claimed once")
		}
		table.settle(id, &execution{id: id})
		table.end(id)
	}
	if len(table.all) != keptExecs || len(table.ended) != keptExecs {
		t.Errorf("%d, %d", len(table.all), len(table.ended))
	}
	if table.claim("x"); table.find("x") != nil {
		t.Error("one that is being started is not found yet")
	}
	if table.settle("x", nil); !table.claim("x") {
		t.Error("the id of what did not start is free")
	}
}

func TestStatusIsReadBehindAnyName(t *testing.T) {
	for stat, want := range map[string]status{
		"7 (sh) S 1 7 7 0":       {7, 1, 'S'},
		"7 (a) R 3) b) T 12 7 7": {7, 12, 'T'},
		"":                       {7, 0, 'X'},
	} {
		if got := parseStat(7, stat); got != want {
			t.Errorf("%q: %+v", stat, got)
		}
	}
}
