// Command tool is a tiny static program for tests: every container that a test starts runs it.
package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	fail(err)
	return value
}

// Steps are separated by ";": tool print hello ";" sleep 1 ";" exit 3.
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
	case "env": // [NAME]
		if len(rest) > 0 {
			fmt.Println(os.Getenv(rest[0]))
			return
		}
		fmt.Println(strings.Join(os.Environ(), "\n"))
	case "cat": // FILE
		file, err := os.Open(rest[0])
		fail(err)
		_, err = io.Copy(os.Stdout, file)
		fail(err)
	case "write": // FILE WORD...
		fail(os.WriteFile(rest[0], []byte(strings.Join(rest[1:], " ")+"\n"), 0o644))
	case "copy": // FROM TO
		data, err := os.ReadFile(rest[0])
		fail(err)
		fail(os.WriteFile(rest[1], data, 0o755))
	case "install": // TO: this program
		data, err := os.ReadFile(self())
		fail(err)
		fail(os.WriteFile(rest[0], data, 0o755))
	case "ls": // FOLDER
		entries, err := os.ReadDir(rest[0])
		fail(err)
		names := []string{}
		for _, entry := range entries {
			names = append(names, entry.Name())
		}
		sort.Strings(names)
		fmt.Println(strings.Join(names, " "))
	case "stat": // FILE: mode, uid, gid, links, size
		var info syscall.Stat_t
		fail(syscall.Lstat(rest[0], &info))
		fmt.Printf("%o %d %d %d %d\n", info.Mode, info.Uid, info.Gid, info.Nlink, info.Size)
	case "id":
		groups, err := os.Getgroups()
		fail(err)
		where, err := os.Getwd()
		fail(err)
		fmt.Println(os.Getuid(), os.Getgid(), groups, where)
	case "try": // a step that may fail: prints "ok" or the error
		command := exec.Command(self(), rest...)
		output, err := command.CombinedOutput()
		if err == nil {
			fmt.Println("ok", strings.TrimSpace(string(output)))
		} else {
			fmt.Println("failed", strings.TrimSpace(string(output)))
		}
	case "mknod": // PATH MAJOR MINOR
		fail(syscall.Mknod(rest[0], syscall.S_IFBLK|0o600, number(rest[1])<<8|number(rest[2])))
		_, err := os.ReadFile(rest[0])
		fail(err)
	case "mount": // TARGET
		fail(syscall.Mount("none", rest[0], "tmpfs", 0, ""))
	case "unshare": // FLAGS: a child in new namespaces
		command := exec.Command(self(), "print", "unshared")
		command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: uintptr(number(rest[0]))}
		fail(command.Run())
	case "listen": // [ADDRESS]:PORT: answers every connection with its own name and closes
		listener, err := net.Listen("tcp4", rest[0])
		fail(err)
		name, _ := os.Hostname()
		fmt.Println("listening")
		go func() {
			for {
				conn, err := listener.Accept()
				fail(err)
				fmt.Fprintln(conn, "hello from", name)
				conn.Close()
			}
		}()
	case "listen-agent": // as the agent does: on SOCKERLESS_LISTEN, or port 9111 of every address
		address := os.Getenv("SOCKERLESS_LISTEN")
		if address == "" {
			address = ":9111"
		}
		do("listen", []string{address})
	case "bind": // NETWORK ADDRESS
		if rest[0] == "udp4" {
			_, err := net.ListenPacket(rest[0], rest[1])
			fail(err)
		} else {
			_, err := net.Listen(rest[0], rest[1])
			fail(err)
		}
	case "connect": // HOST:PORT: prints what it says
		conn, err := net.DialTimeout("tcp4", rest[0], 400*time.Millisecond)
		fail(err)
		data, err := io.ReadAll(conn)
		fail(err)
		fmt.Print(string(data))
	case "resolve": // NAME
		addresses, err := net.LookupHost(rest[0])
		fail(err)
		fmt.Println(strings.Join(addresses, " "))
	case "alloc": // MIB
		debug.SetGCPercent(-1)
		memory := make([]byte, number(rest[0])<<20)
		for at := 0; at < len(memory); at += 4096 {
			memory[at] = 1
		}
		fmt.Println("allocated", len(memory)>>20)
	case "on-term": // CODE: exits so when asked to end
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGTERM)
		go func() {
			<-signals
			fmt.Println("terminated")
			os.Exit(number(rest[0]))
		}()
	case "ignore-term":
		signal.Ignore(syscall.SIGTERM)
	case "kill-self": // SIGNAL, in a child where PID 1 cannot
		fail(syscall.Kill(os.Getpid(), syscall.Signal(number(rest[0]))))
		time.Sleep(time.Second)
	case "kill-child": // SIGNAL: run a child that dies of it; end as it did
		command := exec.Command(self(), "kill-self", rest[0])
		err := command.Run()
		if command.ProcessState == nil {
			fail(err)
		}
		state := command.ProcessState.Sys().(syscall.WaitStatus)
		fmt.Println(err, state.Signal())
		os.Exit(128 + int(state.Signal()))
	case "orphan": // leave a process behind in a session of its own
		command := exec.Command(self(), "ignore-term", ";", "sleep", "600")
		command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		fail(command.Start())
		fmt.Println("orphan")
	case "processes":
		found, err := filepath.Glob("/proc/[0-9]*")
		fail(err)
		fmt.Println(len(found))
	case "limit": // nofile
		var limit syscall.Rlimit
		fail(syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
		fmt.Println(limit.Cur, limit.Max)
	default:
		fmt.Fprintln(os.Stderr, "tool: no such verb:", verb)
		os.Exit(2)
	}
}

// self is this program's path; os.Executable needs /proc, which a chroot may lack.
func self() string {
	if path, err := os.Executable(); err == nil {
		return path
	}
	return os.Args[0]
}
