package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"slices"
)

// attachment is one client at a run's streams; it may come before the run does.
type attachment struct {
	run      string
	wanted   uint64
	settled  chan struct{} // closed once the rest is known
	process  *process      // nil when there will be no stream
	once     bool          // the end of this client's input is the end of the process's
	cursor   *cursor
	skip     int
	position uint64
}

// postAttach sends a run's output as it came, from any position on, and takes its input.
func (a *agent) postAttach(w http.ResponseWriter, r *http.Request) {
	run, wanted := r.URL.Query().Get("run"), uint64(math.MaxUint64)
	if r.URL.Query().Get("after") != "now" {
		var err error
		if wanted, err = optionalNumber(r, "after"); err != nil {
			refuse(w, http.StatusBadRequest, "bad_request", err)
			return
		}
	}
	if !isID(run) {
		refuse(w, http.StatusBadRequest, "bad_request", fmt.Errorf("run: %q is not a run id", run))
		return
	}
	client, err := a.attach(run, wanted)
	if err != nil {
		refuse(w, http.StatusNotFound, "not_found", err)
		return
	}
	defer a.detach(client)
	conn, in := upgrade(w, r, fmt.Sprintf("Sockerless-Position: %d", client.position))
	if conn == nil {
		return
	}
	a.readers.Add(1)
	defer a.readers.Add(-1)
	gone := make(chan struct{})
	go func() {
		client.feed(in)
		a.detach(client)
		close(gone)
	}()
	select {
	case <-client.settled:
	case <-a.goodbye:
	}
	a.detachUnlessSettled(client)
	if client.process != nil {
		a.streams.Add(1)
		defer a.streams.Add(-1)
		if client.send(conn) != nil {
			conn.Close()
			return
		}
	}
	hangUp(conn, gone)
}

// attach finds the run's output, or is there when the run comes.
func (a *agent) attach(run string, wanted uint64) (*attachment, error) {
	client := &attachment{run: run, wanted: wanted, settled: make(chan struct{})}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.runs {
		if r.id != run {
			continue
		}
		if r.failed == nil && r.spool == nil {
			return nil, errors.New("no output of run " + run)
		}
		client.settle(r)
		return client, nil
	}
	a.early = append(a.early, client)
	return client, nil
}

// detach may come at any time, and again.
func (a *agent) detach(client *attachment) {
	a.detachUnlessSettled(client)
	if client.cursor != nil {
		client.cursor.close()
	}
}

func (a *agent) detachUnlessSettled(client *attachment) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if at := slices.Index(a.early, client); at >= 0 {
		a.early = slices.Delete(a.early, at, at+1)
		close(client.settled)
	}
}

// settleEarly tells those who came before their run what has become of it; a.mu is held. They are
// there before its first byte is read.
func (a *agent) settleEarly(r *run) {
	a.early = slices.DeleteFunc(a.early, func(client *attachment) bool {
		switch {
		case client.run == r.id:
			client.settle(r)
		case r.failed == nil:
			close(client.settled) // another run has taken its place
		default:
			return false
		}
		return true
	})
}

func (c *attachment) settle(r *run) {
	if r.failed == nil {
		c.process, c.once = r.process, r.spec.StdinOnce
		c.cursor, c.skip, c.position = r.spool.attach(c.wanted)
	}
	close(c.settled)
}

// feed passes the client's input on until the client has gone.
func (c *attachment) feed(in *bufio.Reader) {
	feed(in, func(piece []byte) {
		<-c.settled
		switch {
		case c.process == nil:
		case piece != nil:
			c.process.stdin.write(piece)
		case c.once:
			c.process.stdin.end()
		}
	}, func() {})
}

// send fails when the client cannot get all of it.
func (c *attachment) send(conn net.Conn) error {
	buffer := make([]byte, 4*(maxPayload+recordHead))
	for {
		records, lost := c.cursor.read(buffer)
		if lost {
			return errors.New("the ring has lost what follows")
		}
		if len(records) == 0 {
			return nil
		}
		stream := attachStream(records, c.cursor.spool.tty)
		if _, err := conn.Write(stream[min(c.skip, len(stream)):]); err != nil {
			return err
		}
		c.skip = 0
	}
}

// attachStream turns records into what an attached client gets of them, in place.
func attachStream(records []byte, tty bool) []byte {
	head := recordHead - frameHead
	if tty {
		head = recordHead
	}
	stream := records[:0]
	for len(records) > 0 {
		size := recordHead + int(binary.BigEndian.Uint32(records[recordHead-4:]))
		stream = append(stream, records[head:size]...)
		records = records[size:]
	}
	return stream
}
