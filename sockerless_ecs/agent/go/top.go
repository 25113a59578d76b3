package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	ticksPerSecond = 100 // USER_HZ, the same everywhere
	nanosPerTick   = int64(time.Second) / ticksPerSecond
	maxArguments   = 32 << 10
)

// processInfo is a process of the container.
type processInfo struct {
	Pid        int     `json:"pid"`
	Ppid       int     `json:"ppid"`
	Uid        int     `json:"uid"`
	User       string  `json:"user"`
	Gid        int     `json:"gid"`
	State      string  `json:"state"`
	Nice       int     `json:"nice"`
	CPUPercent float64 `json:"cpu_percent"`
	VszKiB     int64   `json:"vsz_kib"`
	RssKiB     int64   `json:"rss_kib"`
	TTY        string  `json:"tty"`
	Start      int64   `json:"start_ns"`
	CPU        int64   `json:"cpu_ns"`
	Command    string  `json:"command"`
	Arguments  string  `json:"arguments"`

	session, threads int
	userTicks        int64 // with those of its children that it has waited for
	systemTicks      int64
	startTicks       int64
}

var errNoProc = errors.New("there is no /proc here that tells of processes")

func (a *agent) getTop(w http.ResponseWriter, _ *http.Request) {
	if !seesProcesses() {
		refuse(w, http.StatusNotImplemented, "not_implemented", errNoProc)
		return
	}
	users := imageAccounts.userNames()
	found := []processInfo{}
	now, uptime := time.Now(), readUptime()
	for _, p := range readProcesses() {
		p.addDetails(now, uptime)
		if p.Arguments == shimName {
			continue
		}
		if p.User = users[p.Uid]; p.User == "" {
			p.User = strconv.Itoa(p.Uid)
		}
		found = append(found, p)
	}
	answer(w, http.StatusOK, map[string]any{"processes": found})
}

func seesProcesses() bool {
	_, err := os.Stat("/proc/self/stat")
	return err == nil
}

// readProcesses are the container's, without us and what is dead.
func readProcesses() (found []processInfo) {
	for _, living := range contained() {
		content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", living.pid))
		if err != nil {
			continue
		}
		if p, ok := parseProcess(living.pid, string(content)); ok {
			found = append(found, p)
		}
	}
	return found
}

// parseProcess reads /proc/…/stat (proc(5)); the name in it may hold anything.
func parseProcess(pid int, stat string) (p processInfo, ok bool) {
	begin, end := strings.IndexByte(stat, '('), strings.LastIndexByte(stat, ')')
	if begin < 0 || end < begin {
		return p, false
	}
	fields := strings.Fields(stat[end+1:])
	if len(fields) < 22 {
		return p, false
	}
	number := func(field int) int64 { // counted from 1, as in proc(5)
		n, _ := strconv.ParseInt(fields[field-3], 10, 64)
		return n
	}
	return processInfo{
		Pid: pid, Ppid: int(number(4)), Command: stat[begin+1 : end], State: fields[0],
		session: int(number(6)), TTY: terminalName(number(7)), Nice: int(number(19)), threads: int(number(20)),
		userTicks: number(14) + number(16), systemTicks: number(15) + number(17),
		CPU:        (number(14) + number(15)) * nanosPerTick,
		startTicks: number(22), VszKiB: number(23) >> 10, RssKiB: number(24) * int64(os.Getpagesize()) >> 10,
	}, true
}

// terminalName as ps has it.
func terminalName(device int64) string {
	major, minor := device>>8&0xfff, device&0xff|device>>12&0xfff00
	switch {
	case major >= 136 && major <= 143:
		return fmt.Sprintf("pts/%d", minor+(major-136)<<8)
	case major == 4:
		return fmt.Sprintf("tty%d", minor)
	}
	return "?"
}

func (p *processInfo) addDetails(now time.Time, uptime time.Duration) {
	folder := filepath.Join("/proc", strconv.Itoa(p.Pid))
	age := uptime - time.Duration(p.startTicks*nanosPerTick)
	p.Start = now.Add(-age).UnixNano()
	if age > 0 {
		p.CPUPercent = float64(p.CPU) / float64(age) * 100
	}
	content, _ := os.ReadFile(folder + "/status")
	for _, line := range strings.Split(string(content), "\n") {
		name, value, _ := strings.Cut(line, ":")
		if ids := strings.Fields(value); len(ids) == 4 { // real, effective, saved, of the file system
			switch name {
			case "Uid":
				p.Uid, _ = strconv.Atoi(ids[1])
			case "Gid":
				p.Gid, _ = strconv.Atoi(ids[1])
			}
		}
	}
	arguments, _ := os.ReadFile(folder + "/cmdline")
	arguments = arguments[:min(len(arguments), maxArguments)]
	p.Arguments = strings.ReplaceAll(strings.TrimRight(string(arguments), "\x00"), "\x00", " ")
	if p.Arguments == "" {
		p.Arguments = "[" + p.Command + "]"
	}
}

func readUptime() time.Duration {
	content, _ := os.ReadFile("/proc/uptime")
	text, _, _ := strings.Cut(string(content), " ")
	seconds, _ := strconv.ParseFloat(text, 64)
	return time.Duration(seconds * float64(time.Second))
}

// userNames are the image's.
func (a accounts) userNames() map[int]string {
	names := map[int]string{}
	for _, f := range table(a.passwd, 3) {
		if uid, err := strconv.Atoi(f[2]); err == nil && names[uid] == "" {
			names[uid] = f[0]
		}
	}
	return names
}
