package main

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// cgroup is the container's own: of version 2 one folder, of version 1 one for each controller.
// Version 0: there is none that is only the container's.
type cgroup struct {
	version int
	folders map[string]string // by controller; "" in version 2
}

// findCgroup looks below root, where the container may see its group as the root or the machine's;
// own is its /proc/self/cgroup. The machine's root group is nobody's.
func findCgroup(root, own string) cgroup {
	found := cgroup{folders: map[string]string{}}
	for _, entry := range strings.Split(strings.TrimSpace(own), "\n") {
		fields := strings.SplitN(entry, ":", 3)
		if len(fields) != 3 {
			continue
		}
		if fields[0] == "0" {
			for _, folder := range []string{filepath.Join(root, fields[2]), root} {
				if exists(folder+"/memory.current") && !hasStrangers(folder) {
					return cgroup{2, map[string]string{"": folder}}
				}
			}
			continue
		}
		for _, controller := range strings.Split(fields[1], ",") {
			for _, mount := range []string{controller, fields[1]} {
				for _, group := range []string{fields[2], ""} {
					folder := filepath.Join(root, mount, group)
					// only the root of a hierarchy has a release_agent
					if found.folders[controller] == "" && exists(folder+"/cgroup.procs") && !exists(folder+"/release_agent") {
						found.folders[controller] = folder
					}
				}
			}
		}
	}
	if found.folders["memory"] != "" && found.folders["cpuacct"] != "" {
		found.version = 1
	}
	return found
}

// hasStrangers: processes that our namespace does not know are told as 0.
func hasStrangers(folder string) bool {
	return slices.Contains(strings.Fields(readText(folder+"/cgroup.procs")), "0")
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// number is a file's only value; "max" is none.
func (c cgroup) number(controller, file string, fallback int64) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(readText(c.folders[controller]+"/"+file)), 10, 64)
	if err != nil {
		return fallback
	}
	return n
}

func (c cgroup) keyed(controller, file string) map[string]int64 {
	return keyed(readText(c.folders[controller] + "/" + file))
}

func (c cgroup) fillV2(u *usage) {
	u.CgroupVersion = 2
	cpu := c.keyed("", "cpu.stat")
	u.CPUTotal, u.CPUUser, u.CPUSystem = cpu["usage_usec"]*1e3, cpu["user_usec"]*1e3, cpu["system_usec"]*1e3
	u.Periods, u.ThrottledPeriods, u.Throttled = cpu["nr_periods"], cpu["nr_throttled"], cpu["throttled_usec"]*1e3
	u.Memory = c.number("", "memory.current", -1)
	u.MemoryLimit = c.number("", "memory.max", math.MaxInt64)
	u.MemoryMax = c.number("", "memory.peak", -1)
	u.MemoryStats = c.keyed("", "memory.stat")
	u.Pids = c.number("", "pids.current", -1)
	u.PidsLimit = c.number("", "pids.max", 0)
	for _, line := range strings.Split(readText(c.folders[""]+"/io.stat"), "\n") {
		for _, field := range strings.Fields(line) {
			name, value, _ := strings.Cut(field, "=")
			n, _ := strconv.ParseInt(value, 10, 64)
			switch name {
			case "rbytes":
				u.BlockRead += n
			case "wbytes":
				u.BlockWrite += n
			}
		}
	}
}

func (c cgroup) fillV1(u *usage) {
	u.CgroupVersion = 1
	u.CPUTotal = c.number("cpuacct", "cpuacct.usage", -1)
	spent := c.keyed("cpuacct", "cpuacct.stat")
	u.CPUUser, u.CPUSystem = spent["user"]*nanosPerTick, spent["system"]*nanosPerTick
	cpu := c.keyed("cpu", "cpu.stat")
	u.Periods, u.ThrottledPeriods, u.Throttled = cpu["nr_periods"], cpu["nr_throttled"], cpu["throttled_time"]
	u.Memory = c.number("memory", "memory.usage_in_bytes", -1)
	u.MemoryLimit = c.number("memory", "memory.limit_in_bytes", math.MaxInt64)
	u.MemoryMax = c.number("memory", "memory.max_usage_in_bytes", -1)
	u.MemoryStats = c.keyed("memory", "memory.stat")
	u.Pids = c.number("pids", "pids.current", -1)
	u.PidsLimit = c.number("pids", "pids.max", 0)
	for _, line := range strings.Split(readText(c.folders["blkio"]+"/blkio.throttle.io_service_bytes"), "\n") {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			continue
		}
		n, _ := strconv.ParseInt(fields[2], 10, 64)
		switch fields[1] {
		case "Read":
			u.BlockRead += n
		case "Write":
			u.BlockWrite += n
		}
	}
}
