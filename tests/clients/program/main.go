// Command program is what the containers of the client tests run, on our daemon and on a real dockerd:
// steps separated by ";", such as: program print hello ";" sleep 1 ";" exit 3.
package main

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

func main() {
	step := []string{}
	for _, word := range append(os.Args[1:], ";") {
		if word != ";" {
			step = append(step, word)
			continue
		}
		if len(step) > 0 {
			do(step[0], step[1:])
		}
		step = nil
	}
}

func do(verb string, rest []string) {
	switch verb {
	case "exit": // CODE
		os.Exit(number(rest[0]))
	case "print": // WORD...
		fmt.Println(strings.Join(rest, " "))
	case "complain": // WORD..., on standard error
		fmt.Fprintln(os.Stderr, strings.Join(rest, " "))
	case "lines": // COUNT
		out := bufio.NewWriter(os.Stdout)
		for line := range number(rest[0]) {
			fmt.Fprintln(out, line)
		}
		fail(out.Flush())
	case "sleep": // SECONDS
		seconds, err := strconv.ParseFloat(rest[0], 64)
		fail(err)
		time.Sleep(time.Duration(seconds * float64(time.Second)))
	case "forever":
		for {
			time.Sleep(time.Hour)
		}
	case "env": // [NAME]
		if len(rest) > 0 {
			fmt.Println(os.Getenv(rest[0]))
			return
		}
		fmt.Println(strings.Join(os.Environ(), "\n"))
	case "id":
		groups, err := os.Getgroups()
		fail(err)
		sort.Ints(groups)
		where, err := os.Getwd()
		fail(err)
		fmt.Println(os.Getuid(), os.Getgid(), groups, where)
	case "read": // FILE
		file, err := os.Open(rest[0])
		fail(err)
		_, err = io.Copy(os.Stdout, file)
		fail(err)
	case "write": // FILE WORD...
		fail(os.WriteFile(rest[0], []byte(strings.Join(rest[1:], " ")+"\n"), 0o644))
	case "remove": // PATH
		fail(os.RemoveAll(rest[0]))
	case "link": // TARGET LINK
		fail(os.Symlink(rest[0], rest[1]))
	case "name": // FILE NAME: one more
		fail(os.Link(rest[0], rest[1]))
	case "move": // PATH PATH
		fail(os.Rename(rest[0], rest[1]))
	case "mode": // OCTAL PATH
		mode, err := strconv.ParseUint(rest[0], 8, 32)
		fail(err)
		fail(syscall.Chmod(rest[1], uint32(mode)))
	case "own": // UID GID PATH
		fail(os.Lchown(rest[2], number(rest[0]), number(rest[1])))
	case "look": // PATH...: mode, owner, names and size of all below them, and where links lead
		for _, path := range rest {
			look(path)
		}
	case "make": // FOLDER
		fail(os.MkdirAll(rest[0], 0o755))
	case "list": // FOLDER
		entries, err := os.ReadDir(rest[0])
		fail(err)
		for _, entry := range entries {
			fmt.Println(entry.Name())
		}
	case "stat": // PATH: mode, uid, gid, links, size
		var info syscall.Stat_t
		fail(syscall.Lstat(rest[0], &info))
		fmt.Printf("%o %d %d %d %d\n", info.Mode, info.Uid, info.Gid, info.Nlink, info.Size)
	case "exists": // PATH: exit 1 if it is not there
		if _, err := os.Lstat(rest[0]); err != nil {
			os.Exit(1)
		}
	case "await": // PATH: until it is there
		for _, err := os.Lstat(rest[0]); err != nil; _, err = os.Lstat(rest[0]) {
			time.Sleep(10 * time.Millisecond)
		}
	case "echo": // standard input to standard output until its end
		_, err := io.Copy(os.Stdout, os.Stdin)
		fail(err)
	case "digest": // of standard input
		hash := sha256.New()
		length, err := io.Copy(hash, os.Stdin)
		fail(err)
		fmt.Printf("%d %x\n", length, hash.Sum(nil))
	case "line": // one line of standard input, in brackets
		text, _ := bufio.NewReader(os.Stdin).ReadString('\n')
		fmt.Printf("[%s]\n", strings.TrimRight(text, "\r\n"))
	case "produce": // BYTES: the same ones every time
		produce(number(rest[0]))
	case "terminal": // "rows columns" of the one on standard input, or "none"
		fmt.Println(terminal())
	case "resized": // the size at every change of it, the first one too
		signals := make(chan os.Signal, 8)
		signal.Notify(signals, syscall.SIGWINCH)
		for {
			fmt.Println(terminal())
			<-signals
		}
	case "on-signal": // NAME CODE: exits so when it comes
		numbers := map[string]syscall.Signal{"TERM": 15, "INT": 2, "HUP": 1, "USR1": 10, "QUIT": 3}
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, numbers[rest[0]])
		go func() {
			<-signals
			fmt.Println("got", rest[0])
			os.Exit(number(rest[1]))
		}()
	case "deaf": // to SIGTERM
		signal.Ignore(syscall.SIGTERM)
	case "ticks": // MILLISECONDS: a number each time, for ever
		for count := 0; ; count++ {
			fmt.Println(count)
			time.Sleep(time.Duration(number(rest[0])) * time.Millisecond)
		}
	case "ticks-until": // PATH: a line now and then until it is there
		for _, err := os.Lstat(rest[0]); err != nil; _, err = os.Lstat(rest[0]) {
			fmt.Println("tick")
			time.Sleep(20 * time.Millisecond)
		}
	case "count-runs": // FILE: adds a line to it and prints how many there are
		file, err := os.OpenFile(rest[0], os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o644)
		fail(err)
		fmt.Fprintln(file, "run")
		content, err := os.ReadFile(rest[0])
		fail(err)
		fmt.Println(strings.Count(string(content), "\n"))
	case "limit": // of open files
		var limit syscall.Rlimit
		fail(syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
		fmt.Println(limit.Cur, limit.Max)
	case "hostname":
		name, err := os.Hostname()
		fail(err)
		fmt.Println(name)
	default:
		fmt.Fprintln(os.Stderr, "program: no such verb:", verb)
		os.Exit(2)
	}
}

func look(root string) {
	fail(filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		var info syscall.Stat_t
		if err != nil || syscall.Lstat(path, &info) != nil {
			fmt.Println(path, "is missing")
			return nil
		}
		if info.Mode&syscall.S_IFMT == syscall.S_IFDIR {
			info.Nlink, info.Size = 0, 0 // the file system's own affair
		}
		target, _ := os.Readlink(path)
		fmt.Printf("%o %d:%d %d %d %s %s\n", info.Mode, info.Uid, info.Gid, info.Nlink, info.Size, path, target)
		return nil
	}))
}

func produce(bytes int) {
	block := make([]byte, 64<<10)
	for at := range block {
		block[at] = byte(at*7 + at>>8)
	}
	for bytes > 0 {
		written, err := os.Stdout.Write(block[:min(bytes, len(block))])
		fail(err)
		bytes -= written
	}
}

func terminal() string {
	var size struct{ rows, columns, x, y uint16 }
	_, _, failed := syscall.Syscall(syscall.SYS_IOCTL, 0, syscall.TIOCGWINSZ, uintptr(unsafe.Pointer(&size)))
	if failed != 0 {
		return "none"
	}
	return fmt.Sprint(size.rows, " ", size.columns)
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	fail(err)
	return value
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
