// Command program is what the containers of the bench run: it says when things happened.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Time for a client to be connected before there is anything to read.
const settle = 300 * time.Millisecond

func main() {
	verb, argument := os.Args[1], 0
	if len(os.Args) > 2 {
		argument, _ = strconv.Atoi(os.Args[2])
	}
	switch verb {
	case "true":
	case "end": // the last thing it does is to say when that was
		time.Sleep(settle)
		stamp()
	case "ticks": // COUNT lines, each with the time at which it is written
		time.Sleep(settle)
		for range argument {
			stamp()
			time.Sleep(10 * time.Millisecond)
		}
	case "lines": // the time, then COUNT numbered lines of 50 bytes
		time.Sleep(settle)
		stamp()
		out := bufio.NewWriter(os.Stdout)
		padding := strings.Repeat(".", 41)
		for number := range argument {
			fmt.Fprintf(out, "%08d%s\n", number, padding)
		}
		out.Flush()
	case "sleep":
		select {
		case <-time.After(time.Duration(argument) * time.Second):
		}
	case "stamp": // the time, and the end
		stamp()
	case "produce": // BYTES
		block := make([]byte, 1<<20)
		for ; argument > 0; argument -= len(block) {
			os.Stdout.Write(block[:min(argument, len(block))])
		}
	case "swallow": // standard input
		buffer := make([]byte, 1<<20)
		for {
			if _, err := os.Stdin.Read(buffer); err != nil {
				break
			}
		}
	default:
		os.Exit(2)
	}
}

func stamp() {
	fmt.Println(time.Now().UnixNano())
}
