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
	"time"
)

const farewellLimit = 5 * time.Second

// upgrade takes the connection over, or has refused. in holds what came behind the request head.
func upgrade(w http.ResponseWriter, r *http.Request) (conn net.Conn, in *bufio.Reader) {
	if !strings.EqualFold(r.Header.Get("Upgrade"), "sockerless") {
		refuse(w, http.StatusUpgradeRequired, "bad_request", errors.New("this is a stream: ask for Upgrade: sockerless"))
		return nil, nil
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil
	}
	conn.SetDeadline(time.Time{})
	const head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: sockerless\r\n\r\n"
	if _, err := io.WriteString(conn, head); err != nil {
		conn.Close()
		return nil, nil
	}
	return conn, rw.Reader
}

// hangUp says close_notify and then waits for the client to close: closing a socket with unread
// input would send RST, and the client would lose the end of the output.
func hangUp(conn net.Conn) {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	if tls, ok := conn.(interface{ NetConn() net.Conn }); ok {
		raw := tls.NetConn() // another goroutine may own the TLS reader
		raw.SetReadDeadline(time.Now().Add(farewellLimit))
		io.Copy(io.Discard, raw)
	}
	conn.Close()
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
			hangUp(conn)
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
