package main

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

const sendAt = 256 << 10

// logQuery says which lines a reader wants.
type logQuery struct {
	after        uint64
	tail         uint64
	all          bool
	since, until int64
	follow       bool
	streams      [3]bool
}

func parseLogQuery(r *http.Request) (q logQuery, err error) {
	values := r.URL.Query()
	number := func(key string) uint64 {
		n, failed := optionalNumber(r, key)
		if failed != nil {
			err = failed
		}
		return n
	}
	flag := func(key, fallback string) bool {
		text := or(values.Get(key), fallback)
		if text != "0" && text != "1" {
			err = errors.New(key + ": must be 0 or 1")
		}
		return text == "1"
	}
	q.after, q.since, q.until = number("after"), int64(number("since")), int64(number("until"))
	if tail := or(values.Get("tail"), "all"); tail == "all" {
		q.all = true
	} else {
		q.tail = number("tail")
	}
	q.follow = flag("follow", "0")
	q.streams = [3]bool{false, flag("stdout", "1"), flag("stderr", "1")}
	return q, err
}

// first is the number of the first line wanted: as in Docker, the tail is of all lines, and what
// is left of it after the other wishes may be less.
func (q logQuery) first(s *spool) uint64 {
	first := q.after + 1
	if q.all {
		return first
	}
	finished, next, _ := s.ended()
	if finished {
		next = s.lines() + 1
	}
	return max(first, next-min(q.tail, next-1))
}

func (a *agent) getLogs(w http.ResponseWriter, r *http.Request) {
	query, err := parseLogQuery(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, "bad_request", err)
		return
	}
	output := a.output(r.URL.Query().Get("run"))
	if output == nil {
		refuse(w, http.StatusNotFound, "not_found", errors.New("no output of run "+r.URL.Query().Get("run")))
		return
	}
	conn, in := upgrade(w, r)
	if conn == nil {
		return
	}
	a.streams.Add(1)
	defer a.streams.Add(-1)
	first := query.first(output)
	cursor := output.cursor(first, query.follow)
	gone := make(chan struct{})
	go func() {
		io.Copy(io.Discard, in)
		cursor.close() // the client has gone
		close(gone)
	}()
	if query.follow && query.until > 0 {
		defer time.AfterFunc(time.Until(time.Unix(0, query.until)), cursor.close).Stop()
	}
	if sendLines(conn, newLineReader(cursor), first, query) == nil {
		hangUp(conn, gone)
	}
	cursor.close()
	conn.Close()
}

// sendLines sends each line as its number (8), its time (8), Docker's frame header (8) and itself.
func sendLines(conn net.Conn, reader *lineReader, first uint64, q logQuery) (failed error) {
	var out []byte
	send := func() {
		if len(out) > 0 && failed == nil {
			_, failed = conn.Write(out)
		}
		out = out[:0]
	}
	for more := true; more && failed == nil; {
		more = reader.read(func(l line) {
			if l.number < first || !q.streams[l.stream] || l.time < q.since || (q.until > 0 && l.time > q.until) {
				return
			}
			out = binary.BigEndian.AppendUint64(out, l.number)
			out = binary.BigEndian.AppendUint64(out, uint64(l.time))
			out = append(out, l.stream, 0, 0, 0)
			out = binary.BigEndian.AppendUint32(out, uint32(len(l.data)))
			out = append(out, l.data...)
			if len(out) >= sendAt {
				send()
			}
		})
		send()
	}
	return failed
}
