package main

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// killLeftovers ends everything that a container's main process left behind, as when a container's
// PID 1 ends. As PID 1 that is every process there is; elsewhere (a sandbox without namespaces)
// those below us, which adopt their orphans.
func killLeftovers() {
	if os.Getpid() == 1 {
		syscall.Kill(-1, syscall.SIGKILL)
		return
	}
	for range 50 { // a process that forks faster than we look is met again
		below := descendants(os.Getpid())
		if len(below) == 0 {
			return
		}
		for _, pid := range below {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// descendants are the live processes below one, zombies left out.
func descendants(root int) (found []int) {
	children := map[int][]int{}
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + entry.Name() + "/stat")
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(stat), ") ")
		if fields := strings.Fields(rest); len(fields) > 1 && fields[0] != "Z" && fields[0] != "X" {
			parent, _ := strconv.Atoi(fields[1])
			children[parent] = append(children[parent], pid)
		}
	}
	for level := children[root]; len(level) > 0; {
		found = append(found, level...)
		var below []int
		for _, pid := range level {
			below = append(below, children[pid]...)
		}
		level = below
	}
	return found
}
