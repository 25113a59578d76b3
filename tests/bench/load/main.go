// Command load asks a daemon for one path again and again over some connections: SOCKET CONNECTIONS SECONDS PATH.
// It prints how many answers came a second. Plain HTTP/1.1 written by hand: the client must not be what is measured.
package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func main() {
	socket, path := os.Args[1], os.Args[4]
	connections, _ := strconv.Atoi(os.Args[2])
	seconds, _ := strconv.ParseFloat(os.Args[3], 64)
	request := []byte("GET " + path + " HTTP/1.1\r\nHost: docker\r\nUser-Agent: bench\r\n\r\n")
	var answers atomic.Int64
	var all sync.WaitGroup
	began := time.Now()
	deadline := began.Add(time.Duration(seconds * float64(time.Second)))
	for range connections {
		all.Add(1)
		go func() {
			defer all.Done()
			conn, err := net.Dial("unix", socket)
			fail(err)
			defer conn.Close()
			in := bufio.NewReaderSize(conn, 64<<10)
			for time.Now().Before(deadline) {
				_, err := conn.Write(request)
				fail(err)
				fail(answer(in))
				answers.Add(1)
			}
		}()
	}
	all.Wait()
	fmt.Printf("%.1f\n", float64(answers.Load())/time.Since(began).Seconds())
}

// answer reads one answer, with a length or in chunks.
func answer(in *bufio.Reader) error {
	status, err := in.ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.Contains(status, " 200 ") {
		return fmt.Errorf("answered %q", status)
	}
	length, chunked := 0, false
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return err
		}
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch {
		case name == "":
			if !chunked {
				_, err := in.Discard(length)
				return err
			}
			return skipChunks(in)
		case strings.EqualFold(name, "Content-Length"):
			length, _ = strconv.Atoi(strings.TrimSpace(value))
		case strings.EqualFold(name, "Transfer-Encoding"):
			chunked = true
		}
	}
}

func skipChunks(in *bufio.Reader) error {
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return err
		}
		size, err := strconv.ParseInt(strings.TrimSpace(line), 16, 64)
		if err != nil {
			return err
		}
		if _, err := io.CopyN(io.Discard, in, size+2); err != nil || size == 0 {
			return err
		}
	}
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
