package main

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// killLeftovers ends everything that a container's main process left behind, as when a container's
// PID 1 ends.
func killLeftovers() {
	if os.Getpid() == 1 {
		signalEverything(syscall.SIGKILL)
		return
	}
	for range 50 { // a process that forks faster than we look is met again
		if len(contained()) == 0 {
			return
		}
		signalEverything(syscall.SIGKILL)
		time.Sleep(2 * time.Millisecond)
	}
}

// status is a process that lives.
type status struct {
	pid, parent int
	state       byte
}

// contained is the container's processes but us: as PID 1 all there are, elsewhere (a sandbox
// without namespaces) those below us, which adopt their orphans.
func contained() (found []status) {
	self := os.Getpid()
	children := map[int][]status{}
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == self {
			continue
		}
		stat, err := os.ReadFile("/proc/" + entry.Name() + "/stat")
		if err != nil {
			continue
		}
		p := parseStat(pid, string(stat))
		if p.state == 'Z' || p.state == 'X' {
			continue
		}
		if self == 1 {
			found = append(found, p)
		} else {
			children[p.parent] = append(children[p.parent], p)
		}
	}
	for level := children[self]; len(level) > 0; {
		found = append(found, level...)
		var below []status
		for _, p := range level {
			below = append(below, children[p.pid]...)
		}
		level = below
	}
	return found
}

// parseStat reads the beginning of a /proc/…/stat; the name in it may hold anything.
func parseStat(pid int, stat string) status {
	p := status{pid: pid, state: 'X'}
	_, fields, _ := strings.Cut(stat[strings.LastIndexByte(stat, ')')+1:], " ")
	state, rest, _ := strings.Cut(fields, " ")
	parent, _, _ := strings.Cut(rest, " ")
	if len(state) == 1 {
		p.state = state[0]
		p.parent, _ = strconv.Atoi(parent)
	}
	return p
}
