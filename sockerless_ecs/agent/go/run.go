package main

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

const (
	keptRuns   = 4 // whose output can still be read
	pumpsLimit = 10 * time.Second
)

// run is one start of the container. Several may follow each other in one task.
type run struct {
	id         string
	spec       spec // as it was asked for
	spool      *spool
	failed     *startError
	process    *process // nil when it failed
	startSeq   uint64
	startedAt  time.Time
	stopSignal syscall.Signal
	linger     time.Duration
	oomBefore  int
	cleared    chan struct{} // closed when all it left behind has been killed
	recorded   chan struct{} // closed when its output and final record are with the log driver
	exitSeq    uint64        // under agent.mu; 0 while it lives
	lingering  bool          // under agent.mu
	paused     bool          // under agent.gate
	health     *healthState  // under agent.mu; nil without a check
}

// start is idempotent by run id: a repetition gets the first one's outcome. A conflict says why
// this is not the time.
func (a *agent) start(s spec) (r *run, conflict error) {
	a.starting.Lock()
	defer a.starting.Unlock()
	if known := a.find(s.Run); known != nil {
		return known, nil
	}
	previous, err := a.beginStart(s.Run)
	if err != nil {
		return nil, err
	}
	if previous != nil {
		<-previous.cleared // else what clears up after it would end the new process
	}
	r = &run{
		id:        s.Run,
		spec:      s,
		linger:    time.Duration(s.LingerSeconds * float64(time.Second)),
		oomBefore: a.oom.kills(),
		cleared:   make(chan struct{}),
		recorded:  make(chan struct{}),
	}
	r.stopSignal, _ = parseSignal(or(s.StopSignal, "SIGTERM")) // checked before
	s.Cwd, s.MakeCwd = or(s.Cwd, "/"), true
	s.Env = environment(os.Environ(), s)
	if r.spool, err = newSpool(a.spoolDir, a.spoolBytes); err != nil {
		r.failed = fail(setup, "output file: %v", err)
	} else {
		r.spool.tty = s.TTY
		r.process, r.failed = spawn(a.reaper, s)
	}
	a.started(r, previous)
	return r, nil
}

// beginStart stops the clock; it returns the run before, whose process has ended.
func (a *agent) beginStart(id string) (previous *run, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.ended || a.stopping:
		return nil, fmt.Errorf("the task is about to end: run %s cannot start here", id)
	case a.current != nil && !a.current.process.hasExited():
		return nil, fmt.Errorf("run %s is still running", a.current.id)
	}
	a.disarm()
	return a.current, nil
}

func (a *agent) started(r, previous *run) {
	r.startedAt = time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.runs = append(a.runs, r)
	a.settleEarly(r)
	if r.failed != nil {
		r.spool = nil
		a.arm(a.startTimeout, neverStarted)
		return
	}
	if len(a.runs) > keptRuns {
		a.runs[len(a.runs)-1-keptRuns].spool = nil // its file goes with its last reader
	}
	a.current = r
	r.startSeq = a.events.add(event{Type: "started", Run: r.id, Pid: r.process.pid, Time: r.startedAt.UnixNano()})
	a.beginHealth(r)
	go a.follow(r, r.spool, previous)
	if a.stopping {
		a.reaper.signal(r.process.pid, r.stopSignal)
	}
}

// follow sees a run to its end and beyond.
func (a *agent) follow(r *run, output *spool, previous *run) {
	copied := make(chan struct{})
	go func() {
		if previous != nil {
			<-previous.recorded // one stdout, one run after the other
		}
		copyToLogDriver(a.emitter, r.id, output)
		close(copied)
	}()
	drained := make(chan struct{})
	go func() {
		r.process.pump(output.append)
		close(drained)
	}()
	<-r.process.exited
	oom := a.oom.kills() > r.oomBefore
	code, pid := r.process.code, r.process.pid
	a.mu.Lock()
	r.exitSeq = a.events.add(event{Type: "exited", Run: r.id, Pid: pid, Code: &code, OOM: &oom,
		Time: r.process.exitedAt.UnixNano()})
	a.mu.Unlock()
	a.afterExit(r)
	killLeftovers()
	a.gate.Lock() // what was being started beside it meanwhile is there now
	killLeftovers()
	a.gate.Unlock()
	close(r.cleared)
	r.process.hurry(pumpsLimit)
	release := time.AfterFunc(pumpsLimit, output.release) // from clients that do not read
	<-drained
	release.Stop()
	r.process.close()
	output.finish()
	lines := output.lines()
	a.events.add(event{Type: "drained", Run: r.id, Lines: &lines})
	<-copied
	a.emitter.write(fmt.Sprintf("exited run=%s code=%d oom=%d lines=%d", r.id, code, digit(oom), lines))
	close(r.recorded)
}

// beside starts one more process in a live run, as wanted makes it of the run's own: an exec, a
// probe. A conflict says why not now.
func (a *agent) beside(id string, wanted func(run spec) spec) (p *process, conflict error, failed *startError) {
	a.gate.RLock()
	defer a.gate.RUnlock()
	switch r := a.live(); {
	case r == nil || r.id != id:
		return nil, fmt.Errorf("run %s is not running", id), nil
	case r.paused:
		return nil, fmt.Errorf("run %s is paused", id), nil
	default:
		s := wanted(r.spec)
		s.Cwd, s.MakeCwd = or(s.Cwd, "/"), false
		s.Env = environment(os.Environ(), s)
		p, failed = spawn(a.reaper, s)
		return p, nil, failed
	}
}

// find is a run that was tried, however it went.
func (a *agent) find(id string) *run {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.runs {
		if r.id == id {
			return r
		}
	}
	return nil
}

// output is a run's spool, nil when it has none (any more).
func (a *agent) output(id string) *spool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.runs {
		if r.id == id {
			return r.spool
		}
	}
	return nil
}

// live is the run whose process lives.
func (a *agent) live() *run {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.current != nil && !a.current.process.hasExited() {
		return a.current
	}
	return nil
}

func digit(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
