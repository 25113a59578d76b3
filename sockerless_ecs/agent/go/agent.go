package main

import (
	"context"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	ackLimit         = 15 * time.Minute // how long an exit nobody has taken note of keeps the task
	ackLimitStopping = 10 * time.Second // the same once ECS has said SIGTERM, before it kills us
	recordLimit      = 30 * time.Second // a log driver that reads nothing must not keep the task
	streamLimit      = 10 * time.Second
	hastyLimit       = 2 * time.Second // of the two above, after /quit
	neverStarted     = 125
)

// agent is what one task has: at most one live run, and the time until it ends by itself.
type agent struct {
	settings
	reaper  *reaper
	events  *eventLog
	execs   *execTable
	emitter *emitter
	oom     oomCounter
	began   time.Time
	own     ownPlaces // nobody sees or changes them through us
	proof   string
	arn     atomic.Pointer[string]
	streams atomic.Int64 // logs being sent
	readers atomic.Int64 // of events
	goodbye chan struct{}
	over    chan ending

	starting sync.Mutex // one start at a time
	naming   sync.Mutex
	gate     sync.RWMutex // shared: something is started beside a run; alone: it is paused or cleared

	mu       sync.Mutex
	runs     []*run
	early    []*attachment // that wait for a run to come
	current  *run          // the newest that has a process
	deadline *time.Timer
	armed    int  // which arming of the deadline counts
	stopping bool // ECS has said SIGTERM
	ended    bool
}

// ending says with which code the agent ends, and whether it may wait for readers.
type ending struct {
	code  int
	hasty bool
}

func newAgent(s settings) *agent {
	return &agent{
		settings: s,
		reaper:   newReaper(),
		events:   newEventLog(),
		execs:    newExecTable(),
		emitter:  newEmitter(os.Stdout),
		oom:      newOOMCounter("/sys/fs/cgroup", "/proc/self/cgroup"),
		began:    time.Now(),
		own:      newOwnPlaces(beside("."), s.spoolDir),
		goodbye:  make(chan struct{}),
		over:     make(chan ending, 1),
	}
}

func (a *agent) serve() int {
	// Not dumpable: a root process in the container cannot read /proc/1/environ (the token, the
	// role's credentials) or trace us, unless it has CAP_SYS_PTRACE.
	prctl(prSetDumpable, 0)
	prctl(prSetChildSubreaper, 1) // orphans come to us even where we are not PID 1
	go a.reaper.loop()
	go a.forwardSignals()
	go a.learnTask()

	listener, proof, err := listen(a.listen, a.clientPin, a.token)
	if err != nil {
		a.emitter.lastNote("cannot listen: %v", err)
		return neverStarted
	}
	a.proof = proof
	server := &http.Server{
		Handler:           a.routes(),
		ErrorLog:          a.emitter.logger(),
		ReadHeaderTimeout: 10 * time.Second,
	}
	a.mu.Lock()
	a.arm(a.startTimeout, neverStarted)
	a.mu.Unlock()
	go server.Serve(listener)
	code := a.farewell(<-a.over)
	ctx, cancel := context.WithTimeout(context.Background(), hastyLimit)
	defer cancel()
	server.Shutdown(ctx) // the answer to the acknowledgement that ends us goes out first
	return code
}

// farewell lets what is under way come to its end: the process, its records, those who read.
func (a *agent) farewell(end ending) int {
	a.mu.Lock()
	last := a.current
	a.mu.Unlock()
	records, streams := recordLimit, streamLimit
	if end.hasty {
		records, streams = hastyLimit, hastyLimit
	}
	if last != nil {
		if a.reaper.signal(last.process.pid, syscall.SIGKILL) == nil {
			<-last.process.exited
			end.code = last.process.code
		}
		waitUntil(last.recorded, records)
	} else if end.code == neverStarted {
		a.emitter.lastNote("nothing was started in time")
	}
	killLeftovers()
	awaitNone(&a.streams, streams)
	close(a.goodbye) // event streams end properly, so that their readers know it was no accident
	awaitNone(&a.readers, hastyLimit)
	return end.code
}

// awaitNone polls, as it happens once in an agent's life.
func awaitNone(count *atomic.Int64, limit time.Duration) {
	for began := time.Now(); count.Load() > 0 && time.Since(began) < limit; {
		time.Sleep(2 * time.Millisecond)
	}
}

func waitUntil(done <-chan struct{}, limit time.Duration) {
	select {
	case <-done:
	case <-time.After(limit):
	}
}

// forwardSignals hands what PID 1 receives to the process, as tini does. Go installs handlers for
// all signals, so PID 1's kernel protection is gone: without this, `kill -QUIT 1` in the container
// would end the agent. Notify, never Ignore: ignored signals survive exec.
func (a *agent) forwardSignals() {
	signals := make(chan os.Signal, 64)
	signal.Notify(signals) // SIGPIPE too: a closed stdout must not kill us
	for received := range signals {
		switch number := received.(syscall.Signal); number {
		case syscall.SIGCHLD, syscall.SIGURG, syscall.SIGPIPE, syscall.SIGTTIN, syscall.SIGTTOU:
			// ours, the Go scheduler's, or about our own files
		case syscall.SIGTERM:
			a.stop()
		default:
			if r := a.live(); r != nil {
				a.reaper.signal(r.process.pid, number)
			}
		}
	}
}

// stop is ECS's SIGTERM: the process gets its stop signal, and the task does not linger.
func (a *agent) stop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stopping = true
	switch r := a.current; {
	case r == nil:
		a.end(ending{code: 128 + int(syscall.SIGTERM)})
	case !r.process.hasExited():
		a.reaper.signal(r.process.pid, r.stopSignal)
	case r.exitSeq > 0 && a.events.isAcked(r.exitSeq):
		a.end(ending{code: r.process.code})
	default:
		a.arm(ackLimitStopping, r.process.code)
	}
}

// afterExit keeps the task until the exit is acknowledged, then for the linger time.
func (a *agent) afterExit(r *run) {
	a.mu.Lock()
	defer a.mu.Unlock()
	limit := ackLimit
	if a.stopping {
		limit = ackLimitStopping
	}
	a.arm(limit, r.process.code)
	a.lingerIfAcked()
}

func (a *agent) acknowledge(seq uint64) {
	a.events.ack(seq)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lingerIfAcked()
}

func (a *agent) lingerIfAcked() {
	r := a.current
	if r == nil || r.exitSeq == 0 || r.lingering || !a.events.isAcked(r.exitSeq) {
		return
	}
	r.lingering = true
	linger := r.linger
	if a.stopping {
		linger = 0
	}
	a.arm(linger, r.process.code)
}

// arm sets the time at which the agent ends unless something happens first; a.mu is held.
func (a *agent) arm(after time.Duration, code int) {
	a.disarm()
	which := a.armed
	a.deadline = time.AfterFunc(after, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if which == a.armed {
			a.end(ending{code: code})
		}
	})
}

// disarm takes the deadline back; a.mu is held.
func (a *agent) disarm() {
	a.armed++
	if a.deadline != nil {
		a.deadline.Stop()
	}
}

// end is final; a.mu is held.
func (a *agent) end(how ending) {
	if !a.ended {
		a.ended = true
		a.over <- how
	}
}

// quit ends the agent at once, and its process with it.
func (a *agent) quit() {
	a.mu.Lock()
	defer a.mu.Unlock()
	code := 0
	if a.current != nil && a.current.process.hasExited() {
		code = a.current.process.code
	}
	a.end(ending{code: code, hasty: true})
}
