package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// oomCounter finds the kernel's count of processes that died of our memory limit.
type oomCounter struct{ file string }

// newOOMCounter looks in cgroup v2 and v1, where the container sees its own group as the root and
// where it sees the machine's. Without a cgroup nothing counts as out of memory.
func newOOMCounter(root, own string) oomCounter {
	content, _ := os.ReadFile(own)
	for _, entry := range strings.Split(strings.TrimSpace(string(content)), "\n") {
		fields := strings.SplitN(entry, ":", 3)
		if len(fields) != 3 {
			continue
		}
		controllers, group := strings.Split(fields[1], ","), fields[2]
		var candidates []string
		for _, controller := range controllers {
			switch {
			case controller == "memory":
				folder := filepath.Join(root, "memory")
				candidates = append(candidates, filepath.Join(folder, group, "memory.oom_control"),
					filepath.Join(folder, "memory.oom_control"))
			case fields[0] == "0":
				candidates = append(candidates, filepath.Join(root, group, "memory.events"),
					filepath.Join(root, "memory.events"))
			}
		}
		for _, file := range candidates {
			if _, err := os.Stat(file); err == nil {
				return oomCounter{file}
			}
		}
	}
	return oomCounter{}
}

func (c oomCounter) kills() int {
	content, _ := os.ReadFile(c.file)
	for _, entry := range strings.Split(string(content), "\n") {
		if count, ok := strings.CutPrefix(entry, "oom_kill "); ok {
			n, _ := strconv.Atoi(count)
			return n
		}
	}
	return 0
}
