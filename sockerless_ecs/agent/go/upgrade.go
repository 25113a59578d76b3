package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

const farewellLimit = 5 * time.Second

// asksUpgrade has refused if not.
func asksUpgrade(w http.ResponseWriter, r *http.Request) bool {
	if strings.EqualFold(r.Header.Get("Upgrade"), "sockerless") {
		return true
	}
	refuse(w, http.StatusUpgradeRequired, "bad_request", errors.New("this is a stream: ask for Upgrade: sockerless"))
	return false
}

// upgrade takes the connection over, or has refused; the lines are headers of the answer. in holds
// what came behind the request head.
func upgrade(w http.ResponseWriter, r *http.Request, lines ...string) (conn net.Conn, in *bufio.Reader) {
	if !asksUpgrade(w, r) {
		return nil, nil
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil
	}
	conn.SetDeadline(time.Time{})
	head := "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: sockerless\r\n"
	for _, line := range lines {
		head += line + "\r\n"
	}
	head += "\r\n"
	if _, err := io.WriteString(conn, head); err != nil {
		conn.Close()
		return nil, nil
	}
	return conn, rw.Reader
}

// hangUp says close_notify and then waits for the client to close: closing a socket with unread
// input would send RST, and the client would lose the end of the output. gone closes when what the
// client sends has ended, which somebody must read. A client that has got everything and does not
// close is left after a while; one that reads slowly is not.
func hangUp(conn net.Conn, gone <-chan struct{}) {
	defer conn.Close()
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	for unsent(conn) {
		select {
		case <-gone:
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
	conn.SetReadDeadline(time.Now().Add(farewellLimit))
	<-gone
}

// unsent: the client's machine has not yet taken all that we sent.
func unsent(conn net.Conn) bool {
	encrypted, ok := conn.(interface{ NetConn() net.Conn })
	if !ok {
		return false
	}
	socket, ok := encrypted.NetConn().(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	waiting := int32(0)
	raw.Control(func(fd uintptr) { ioctl(fd, syscall.TIOCOUTQ, uintptr(unsafe.Pointer(&waiting))) })
	return waiting > 0
}

// getEvents sends what happened past a number, and what happens from now on.
func (a *agent) getEvents(w http.ResponseWriter, r *http.Request) {
	after, err := optionalNumber(r, "after")
	if err != nil {
		refuse(w, http.StatusBadRequest, "bad_request", err)
		return
	}
	conn, in := upgrade(w, r)
	if conn == nil {
		return
	}
	a.readers.Add(1)
	defer a.readers.Add(-1)
	gone := make(chan struct{})
	go func() {
		io.Copy(io.Discard, in)
		close(gone)
	}()
	out := json.NewEncoder(conn)
	if live := a.live(); live != nil {
		for _, e := range a.events.health(live.id) { // a reader that begins late learns it too
			if e.Seq <= after {
				out.Encode(e)
			}
		}
	}
	for {
		events, changed := a.events.after(after)
		for _, e := range events {
			if out.Encode(e) != nil {
				conn.Close()
				return
			}
			after = e.Seq
		}
		select {
		case <-changed:
		case <-gone:
			conn.Close()
			return
		case <-a.goodbye:
			hangUp(conn, gone)
			return
		}
	}
}

func optionalNumber(r *http.Request, key string) (uint64, error) {
	text := r.URL.Query().Get(key)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, errors.New(key + ": not a number")
	}
	return n, nil
}
