package main

import (
	"fmt"
	"strings"
	"syscall"
	"unsafe"
)

// capabilityNames in the kernel's order: the index is the number.
var capabilityNames = strings.Fields(`CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID
	SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE
	SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME
	SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM
	BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE`)

// capabilityNumbers understands names with and without CAP_, in any case, and ALL.
func capabilityNumbers(names []string) (numbers []int, err error) {
	for _, name := range names {
		plain := strings.TrimPrefix(strings.ToUpper(name), "CAP_")
		known := false
		for number, candidate := range capabilityNames {
			if plain == candidate || plain == "ALL" {
				numbers, known = append(numbers, number), true
			}
		}
		if !known {
			return nil, fmt.Errorf("unknown capability %q", name)
		}
	}
	return numbers, nil
}

// dropFromBounding must run while we still hold SETPCAP; a kernel that does not know a
// capability has nothing to drop.
func dropFromBounding(capabilities []int) error {
	for _, number := range capabilities {
		if err := prctl(prCapbsetDrop, uintptr(number)); err != nil && err != syscall.EINVAL {
			return fmt.Errorf("drop capability %s: %w", capabilityNames[number], err)
		}
	}
	return nil
}

// dropFromSets takes capabilities out of the effective and permitted sets and empties the
// inheritable one, as Docker does.
func dropFromSets(capabilities []int) error {
	header := struct{ version, pid uint32 }{capabilityVersion3, 0}
	var sets [2]struct{ effective, permitted, inheritable uint32 }
	h, d := uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&sets))
	if _, _, e := syscall.RawSyscall(syscall.SYS_CAPGET, h, d, 0); e != 0 {
		return fmt.Errorf("capget: %w", e)
	}
	for _, number := range capabilities {
		sets[number/32].effective &^= 1 << (number % 32)
		sets[number/32].permitted &^= 1 << (number % 32)
	}
	sets[0].inheritable, sets[1].inheritable = 0, 0
	if _, _, e := syscall.RawSyscall(syscall.SYS_CAPSET, h, d, 0); e != 0 {
		return fmt.Errorf("capset: %w", e)
	}
	return nil
}

// ulimit is Docker's: -1 is unlimited.
type ulimit struct {
	Name string `json:"name"`
	Soft int64  `json:"soft"`
	Hard int64  `json:"hard"`
}

var ulimitNumbers = map[string]int{
	"cpu": 0, "fsize": 1, "data": 2, "stack": 3, "core": 4, "rss": 5, "nproc": 6, "nofile": 7,
	"memlock": 8, "as": 9, "locks": 10, "sigpending": 11, "msgqueue": 12, "nice": 13, "rtprio": 14,
	"rttime": 15,
}

func (u ulimit) apply() error {
	number, known := ulimitNumbers[u.Name]
	if !known {
		return fmt.Errorf("unknown ulimit %q", u.Name)
	}
	// syscall.Setrlimit, not a raw call: Go raised NOFILE itself and would put it back at exec.
	limit := &syscall.Rlimit{Cur: uint64(u.Soft), Max: uint64(u.Hard)}
	if err := syscall.Setrlimit(number, limit); err != nil {
		return fmt.Errorf("ulimit %s=%d:%d: %w", u.Name, u.Soft, u.Hard, err)
	}
	return nil
}
