package main

import (
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// usage is one sample of the container's counters; -1 where the kernel does not tell.
type usage struct {
	Read             int64                     `json:"read_ns"`
	CPUTotal         int64                     `json:"cpu_total_ns"`
	CPUUser          int64                     `json:"cpu_user_ns"`
	CPUSystem        int64                     `json:"cpu_system_ns"`
	SystemCPU        int64                     `json:"system_cpu_ns"`
	OnlineCPUs       int                       `json:"online_cpus"`
	ThrottledPeriods int64                     `json:"throttled_periods"`
	Throttled        int64                     `json:"throttled_ns"`
	Periods          int64                     `json:"periods"`
	Memory           int64                     `json:"memory_bytes"`
	MemoryLimit      int64                     `json:"memory_limit_bytes"`
	MemoryMax        int64                     `json:"memory_max_bytes"`
	MemoryStats      map[string]int64          `json:"memory_stats"`
	CgroupVersion    int                       `json:"cgroup_version"`
	Pids             int64                     `json:"pids"`
	PidsLimit        int64                     `json:"pids_limit"`
	Networks         map[string]interfaceUsage `json:"networks"`
	BlockRead        int64                     `json:"block_read_bytes"`
	BlockWrite       int64                     `json:"block_write_bytes"`
}

type interfaceUsage struct {
	RxBytes   int64 `json:"rx_bytes"`
	RxPackets int64 `json:"rx_packets"`
	RxErrors  int64 `json:"rx_errors"`
	RxDropped int64 `json:"rx_dropped"`
	TxBytes   int64 `json:"tx_bytes"`
	TxPackets int64 `json:"tx_packets"`
	TxErrors  int64 `json:"tx_errors"`
	TxDropped int64 `json:"tx_dropped"`
}

func (a *agent) getStats(w http.ResponseWriter, _ *http.Request) {
	u := usage{
		Read: time.Now().UnixNano(), SystemCPU: machineCPU(), OnlineCPUs: runtime.NumCPU(),
		MemoryStats: map[string]int64{}, Networks: networkUsage(readText("/proc/net/dev")),
	}
	machine := keyed(readText("/proc/meminfo"))["MemTotal:"] << 10
	switch group := findCgroup("/sys/fs/cgroup", readText("/proc/self/cgroup")); {
	case os.Getpid() == 1 && group.version == 2:
		group.fillV2(&u)
	case os.Getpid() == 1 && group.version == 1:
		group.fillV1(&u)
	case seesProcesses():
		fillFromProcesses(&u)
	default:
		refuse(w, http.StatusNotImplemented, "not_implemented", errNoProc)
		return
	}
	if u.MemoryLimit <= 0 || u.MemoryLimit > machine {
		u.MemoryLimit = machine
	}
	answer(w, http.StatusOK, u)
}

// fillFromProcesses sums up what lives and what we have buried: where the container has no cgroup of
// its own (a sandbox without privileges) that is all there is to know.
func fillFromProcesses(u *usage) {
	var buried syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_CHILDREN, &buried)
	u.CgroupVersion, u.MemoryMax = 2, -1
	u.CPUUser, u.CPUSystem = buried.Utime.Nano(), buried.Stime.Nano()
	u.CPUTotal = u.CPUUser + u.CPUSystem
	for _, p := range readProcesses() {
		u.CPUUser += p.userTicks * nanosPerTick
		u.CPUSystem += p.systemTicks * nanosPerTick
		u.CPUTotal += max((p.userTicks+p.systemTicks)*nanosPerTick, scheduled(p.Pid))
		u.Memory += p.RssKiB << 10
		u.Pids += int64(p.threads)
		moved := keyed(readText("/proc/" + strconv.Itoa(p.Pid) + "/io"))
		u.BlockRead += moved["read_bytes:"]
		u.BlockWrite += moved["write_bytes:"]
	}
	u.MemoryStats["anon"] = u.Memory
}

// scheduled is what a process's threads have run, to the nanosecond: ticks miss what is short.
func scheduled(pid int) (total int64) {
	files, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/schedstat")
	for _, file := range files {
		nanos, _, _ := strings.Cut(readText(file), " ")
		ran, _ := strconv.ParseInt(nanos, 10, 64)
		total += ran
	}
	return total
}

// machineCPU is the time of all processors, idle or not.
func machineCPU() (total int64) {
	first, _, _ := strings.Cut(readText("/proc/stat"), "\n")
	fields := strings.Fields(first)
	for _, field := range fields[min(1, len(fields)):min(9, len(fields))] { // guests' is in the others
		ticks, _ := strconv.ParseInt(field, 10, 64)
		total += ticks * nanosPerTick
	}
	return total
}

// networkUsage reads /proc/net/dev; the loopback is nobody's traffic.
func networkUsage(table string) map[string]interfaceUsage {
	found := map[string]interfaceUsage{}
	for _, line := range strings.Split(table, "\n") {
		name, rest, isInterface := strings.Cut(line, ":")
		name = strings.TrimSpace(name)
		fields := strings.Fields(rest)
		if !isInterface || name == "lo" || len(fields) < 16 {
			continue
		}
		n := func(i int) int64 {
			value, _ := strconv.ParseInt(fields[i], 10, 64)
			return value
		}
		found[name] = interfaceUsage{n(0), n(1), n(2), n(3), n(8), n(9), n(10), n(11)}
	}
	return found
}

func readText(path string) string {
	content, _ := os.ReadFile(path)
	return string(content)
}

// keyed reads lines of a name and a number.
func keyed(text string) map[string]int64 {
	found := map[string]int64{}
	for _, line := range strings.Split(text, "\n") {
		if fields := strings.Fields(line); len(fields) > 1 {
			if n, err := strconv.ParseInt(fields[1], 10, 64); err == nil {
				found[fields[0]] = n
			}
		}
	}
	return found
}
