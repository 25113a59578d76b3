package main

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"
)

const (
	keptProbes      = 5
	probeOutput     = 4096 // bytes
	probeTailLimit  = time.Second
	healthStarting  = "starting"
	healthHealthy   = "healthy"
	healthUnhealthy = "unhealthy"
)

// healthState is what Docker tells of a check; Log has the newest probes, oldest first.
type healthState struct {
	Status        string        `json:"status"`
	FailingStreak int           `json:"failing_streak"`
	Log           []probeResult `json:"log"`
}

type probeResult struct {
	Start    int64  `json:"start_ns"`
	End      int64  `json:"end_ns"`
	ExitCode int    `json:"exit_code"`
	Output   string `json:"output"`
}

func (c *healthCheck) check() error {
	switch {
	case c == nil:
		return nil
	case len(c.Test) < 2 || c.Test[0] != "CMD" && c.Test[0] != "CMD-SHELL":
		return errors.New(`health: test must be "CMD" or "CMD-SHELL" and a command`)
	case min(c.Interval, c.Timeout, c.StartInterval, int64(c.Retries)) <= 0 || c.StartPeriod < 0:
		return errors.New("health: interval, timeout, start_interval and retries must be positive")
	case slices.ContainsFunc(c.Test, hasNul):
		return errors.New("health: a NUL byte cannot be passed to a process")
	}
	return nil
}

// of is the probe as a process of a run: with its user, directory and environment, without a terminal.
func (c *healthCheck) of(run spec) spec {
	s := run
	s.Argv = c.Test[1:]
	if c.Test[0] == "CMD-SHELL" {
		s.Argv = append([]string{"/bin/sh", "-c"}, s.Argv...)
	}
	s.TTY, s.Stdin, s.Rows, s.Columns = false, false, 0, 0
	return s
}

// after is the state that follows a probe that began some time after the run, by Docker's rules: a
// failure in the start period counts only if it was healthy (or unhealthy) before.
func (h healthState) after(result probeResult, sinceStart time.Duration, c *healthCheck) healthState {
	h.Log = append(slices.Clone(h.Log[max(0, len(h.Log)+1-keptProbes):]), result)
	switch {
	case result.ExitCode == 0:
		h.Status, h.FailingStreak = healthHealthy, 0
	case h.Status == healthStarting && sinceStart < time.Duration(c.StartPeriod):
	default:
		if h.FailingStreak++; h.FailingStreak >= c.Retries {
			h.Status = healthUnhealthy
		}
	}
	return h
}

// pause is how long to wait for the next probe.
func (c *healthCheck) pause(status string, sinceStart time.Duration) time.Duration {
	if status == healthStarting && sinceStart < time.Duration(c.StartPeriod) {
		return time.Duration(c.StartInterval)
	}
	return time.Duration(c.Interval)
}

// beginHealth is called with a.mu held, once the run has started.
func (a *agent) beginHealth(r *run) {
	if r.spec.Health == nil {
		return
	}
	a.setHealth(r, healthState{Status: healthStarting, Log: []probeResult{}})
	go a.watchHealth(r)
}

// setHealth is called with a.mu held.
func (a *agent) setHealth(r *run, h healthState) {
	r.health = &h
	a.events.add(event{Type: "health", Run: r.id, Health: &h})
}

func (a *agent) healthOf(r *run) healthState {
	a.mu.Lock()
	defer a.mu.Unlock()
	return *r.health
}

// healthStatus is what GET /health tells of a run.
func (a *agent) healthStatus(r *run) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r == nil || r.health == nil {
		return "none"
	}
	return r.health.Status
}

// watchHealth probes until the run has ended; not while it is paused.
func (a *agent) watchHealth(r *run) {
	check := r.spec.Health
	for {
		pause := check.pause(a.healthOf(r).Status, time.Since(r.startedAt))
		select {
		case <-r.process.exited:
			return
		case <-time.After(pause):
		}
		if result, counts := a.probe(r, check); counts {
			a.mu.Lock()
			if !r.process.hasExited() {
				began := time.Unix(0, result.Start).Sub(r.startedAt)
				a.setHealth(r, r.health.after(result, began, check))
			}
			a.mu.Unlock()
		}
	}
}

// probe runs the check once. It does not count when the run has ended or is paused.
func (a *agent) probe(r *run, check *healthCheck) (result probeResult, counts bool) {
	result.Start = time.Now().UnixNano()
	defer func() { result.End = time.Now().UnixNano() }()
	p, conflict, failed := a.beside(r.id, check.of)
	if conflict != nil {
		return result, false
	}
	if failed != nil {
		const docker = "OCI runtime exec failed: exec failed: unable to start container process: "
		result.ExitCode, result.Output = -1, docker+failed.Message+": unknown"
		return result, true
	}
	said, timeout := &boundedOutput{}, time.Duration(check.Timeout)
	read := make(chan struct{})
	go func() {
		p.pump(said.add)
		close(read)
	}()
	late := time.NewTimer(timeout)
	defer late.Stop()
	select {
	case <-p.exited:
		p.hurry(probeTailLimit) // what it left behind may hold its output open
		<-read
		p.close()
		result.ExitCode, result.Output = p.code, said.String()
		return result, !r.process.hasExited()
	case <-r.process.exited:
	case <-late.C:
		counts = !a.isPaused(r)
	}
	a.killSession(p)
	p.hurry(0)
	<-read
	p.close()
	result.ExitCode, result.Output = -1, fmt.Sprintf("Health check exceeded timeout (%v)", timeout)
	if text := said.String(); text != "" {
		result.Output += ": " + text
	}
	return result, counts
}

func (a *agent) isPaused(r *run) bool {
	a.gate.RLock()
	defer a.gate.RUnlock()
	return r.paused
}

// killSession ends a process, all that it made, and all that those made. It returns once it is dead.
func (a *agent) killSession(p *process) {
	for range 5 { // what forks faster than we look is met again
		members := sessionOf(p.pid)
		a.reaper.signal(p.pid, syscall.SIGKILL)
		for _, pid := range members {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		if len(members) == 0 {
			break
		}
	}
	<-p.exited
}

// sessionOf is what lives below a process or in its session, itself left out.
func sessionOf(leader int) (members []int) {
	inside := map[int]bool{leader: true}
	all := readProcesses()
	for grew := true; grew; {
		grew = false
		for _, p := range all {
			if !inside[p.Pid] && (inside[p.Ppid] || p.session == leader) {
				inside[p.Pid], grew = true, true
				members = append(members, p.Pid)
			}
		}
	}
	return members
}

// boundedOutput keeps the beginning of what a probe says.
type boundedOutput struct {
	mu   sync.Mutex
	text []byte
	more bool
}

func (o *boundedOutput) add(record []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	payload := record[recordHead:]
	kept := min(len(payload), probeOutput-len(o.text))
	o.text = append(o.text, payload[:kept]...)
	o.more = o.more || kept < len(payload)
}

func (o *boundedOutput) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.more {
		return string(o.text) + "..."
	}
	return string(o.text)
}
