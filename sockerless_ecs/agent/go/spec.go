package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// spec is what to run; it travels as JSON from the daemon and again to the shim.
type spec struct {
	Run           string   `json:"run"`
	Argv          []string `json:"argv"`
	Env           []string `json:"env"`
	Cwd           string   `json:"cwd"`
	User          string   `json:"user"`
	Groups        []string `json:"groups"`
	CapDrop       []string `json:"cap_drop"`
	Ulimits       []ulimit `json:"ulimits"`
	NoNewPrivs    bool     `json:"no_new_privs"`
	StopSignal    string   `json:"stop_signal"`
	LingerSeconds float64  `json:"linger_seconds"`
	Hostname      string   `json:"hostname"`
	TTY           bool     `json:"tty"`
	Stdin         bool     `json:"stdin"`
	StdinOnce     bool     `json:"stdin_once"`
	Rows          uint16   `json:"rows"`
	Columns       uint16   `json:"columns"`
	MakeCwd       bool     `json:"make_cwd"` // ours, not the daemon's

	Health *healthCheck `json:"health"`
}

// healthCheck is the daemon's, with every default filled in; times in nanoseconds.
type healthCheck struct {
	Test          []string `json:"test"`
	Interval      int64    `json:"interval"`
	Timeout       int64    `json:"timeout"`
	StartPeriod   int64    `json:"start_period"`
	StartInterval int64    `json:"start_interval"`
	Retries       int      `json:"retries"`
}

// check refuses what can be refused without trying.
func (s spec) check() error {
	if !isID(s.Run) {
		return fmt.Errorf("run: %q is not a run id", s.Run)
	}
	if _, err := parseSignal(or(s.StopSignal, "SIGTERM")); err != nil {
		return fmt.Errorf("stop_signal: %w", err)
	}
	if _, err := capabilityNumbers(s.CapDrop); err != nil {
		return fmt.Errorf("cap_drop: %w", err)
	}
	for _, u := range s.Ulimits {
		if _, known := ulimitNumbers[u.Name]; !known {
			return fmt.Errorf("ulimits: unknown ulimit %q", u.Name)
		}
	}
	if err := s.Health.check(); err != nil {
		return err
	}
	if s.LingerSeconds < 0 {
		return errors.New("linger_seconds: must not be negative")
	}
	if slices.ContainsFunc(append(slices.Clone(s.Argv), s.Env...), hasNul) {
		return errors.New("argv, env: a NUL byte cannot be passed to a process")
	}
	return nil
}

func isID(text string) bool {
	return text != "" && len(text) <= 128 && !strings.ContainsFunc(text, notIDRune)
}

func notIDRune(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.')
}

func hasNul(text string) bool { return strings.ContainsRune(text, 0) }

// environment is the process's: Docker's defaults, then the task's AWS_* and ECS_* (credentials,
// metadata, region), then what the container was given. The last value of a name counts; an
// entry without "=" takes a name away.
func environment(own []string, s spec) []string {
	entries := []string{"PATH=" + defaultPath}
	if s.Hostname != "" {
		entries = append(entries, "HOSTNAME="+s.Hostname)
	}
	if s.TTY {
		entries = append(entries, "TERM=xterm")
	}
	for _, entry := range own {
		if strings.HasPrefix(entry, "AWS_") || strings.HasPrefix(entry, "ECS_") {
			entries = append(entries, entry)
		}
	}
	var result []string
	for _, entry := range append(entries, s.Env...) {
		name, _, isValue := strings.Cut(entry, "=")
		at := slices.IndexFunc(result, func(e string) bool { return strings.HasPrefix(e, name+"=") })
		switch {
		case at >= 0 && isValue:
			result[at] = entry
		case at >= 0:
			result = slices.Delete(result, at, at+1)
		case isValue:
			result = append(result, entry)
		}
	}
	return result
}

// value is a variable's value, "" when it is not there.
func value(env []string, name string) string {
	for _, entry := range env {
		if v, ok := strings.CutPrefix(entry, name+"="); ok {
			return v
		}
	}
	return ""
}
