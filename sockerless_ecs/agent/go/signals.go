package main

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
)

const (
	firstRealtime, lastRealtime = 34, 64 // as the C library counts them
	lastSignal                  = lastRealtime
)

var signalNumbers = map[string]syscall.Signal{
	"HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "TRAP": 5, "ABRT": 6, "IOT": 6, "BUS": 7, "FPE": 8, "KILL": 9,
	"USR1": 10, "SEGV": 11, "USR2": 12, "PIPE": 13, "ALRM": 14, "TERM": 15, "STKFLT": 16, "CHLD": 17, "CLD": 17,
	"CONT": 18, "STOP": 19, "TSTP": 20, "TTIN": 21, "TTOU": 22, "URG": 23, "XCPU": 24, "XFSZ": 25,
	"VTALRM": 26, "PROF": 27, "WINCH": 28, "IO": 29, "POLL": 29, "PWR": 30, "SYS": 31,
	"RTMIN": firstRealtime, "RTMAX": lastRealtime,
}

// parseSignal understands SIGTERM, TERM, 15 and SIGRTMIN+3, in any case.
func parseSignal(text string) (syscall.Signal, error) {
	invalid := fmt.Errorf("Invalid signal: %s", text)
	if n, err := strconv.Atoi(text); err == nil {
		if n < 1 || n > lastSignal {
			return 0, invalid
		}
		return syscall.Signal(n), nil
	}
	name := strings.TrimPrefix(strings.ToUpper(text), "SIG")
	if known, ok := signalNumbers[name]; ok {
		return known, nil
	}
	for base, start := range map[string]int{"RTMIN+": firstRealtime, "RTMAX-": lastRealtime} {
		rest, ok := strings.CutPrefix(name, base)
		offset, err := strconv.Atoi(rest)
		if base == "RTMAX-" {
			offset = -offset
		}
		if n := start + offset; ok && err == nil && n >= firstRealtime && n <= lastRealtime {
			return syscall.Signal(n), nil
		}
	}
	return 0, invalid
}
