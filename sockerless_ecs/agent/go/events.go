package main

import (
	"slices"
	"sort"
	"sync"
	"time"
)

// event is one line of GET /events. Seq never repeats within a task.
type event struct {
	Seq   uint64  `json:"seq"`
	Time  int64   `json:"time"`
	Type  string  `json:"type"` // started, exited, drained, exec_exited, health
	Run   string  `json:"run"`
	Exec  string  `json:"exec,omitempty"`
	Pid   int     `json:"pid,omitempty"`
	Code  *int    `json:"code,omitempty"`
	OOM   *bool   `json:"oom,omitempty"`
	Lines *uint64 `json:"lines,omitempty"`

	Health *healthState `json:"health,omitempty"`
}

// eventLog keeps every event of the task, but of health only the newest; there are three a run.
type eventLog struct {
	mu      sync.Mutex
	last    uint64
	events  []event // readers hold parts of it: what is in it stays as it is
	acked   uint64
	changed chan struct{} // closed and replaced at every event
}

func newEventLog() *eventLog { return &eventLog{changed: make(chan struct{})} }

func (l *eventLog) add(e event) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	e.Seq = l.last
	if e.Time == 0 {
		e.Time = time.Now().UnixNano()
	}
	if e.Type == "health" {
		l.events = slices.DeleteFunc(slices.Clone(l.events), func(old event) bool { return old.Type == "health" })
	}
	l.events = append(l.events, e)
	close(l.changed)
	l.changed = make(chan struct{})
	return e.Seq
}

// after returns the events past seq, and a channel that closes when there are more.
func (l *eventLog) after(seq uint64) ([]event, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := sort.Search(len(l.events), func(i int) bool { return l.events[i].Seq > seq })
	return l.events[first:], l.changed
}

// health is the newest event of health if that is a run's, for readers who have it behind them.
func (l *eventLog) health(run string) (events []event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		if e.Type == "health" && e.Run == run {
			events = append(events, e)
		}
	}
	return events
}

func (l *eventLog) ack(seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked = max(l.acked, seq)
}

func (l *eventLog) isAcked(seq uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acked >= seq
}
