package main

import (
	"sync"
	"time"
)

// event is one line of GET /events. Seq never repeats or skips within a task.
type event struct {
	Seq   uint64  `json:"seq"`
	Time  int64   `json:"time"`
	Type  string  `json:"type"` // started, exited, drained, exec_exited
	Run   string  `json:"run"`
	Exec  string  `json:"exec,omitempty"`
	Pid   int     `json:"pid,omitempty"`
	Code  *int    `json:"code,omitempty"`
	OOM   *bool   `json:"oom,omitempty"`
	Lines *uint64 `json:"lines,omitempty"`
}

// eventLog keeps every event of the task; there are three a run.
type eventLog struct {
	mu      sync.Mutex
	events  []event
	acked   uint64
	changed chan struct{} // closed and replaced at every event
}

func newEventLog() *eventLog { return &eventLog{changed: make(chan struct{})} }

func (l *eventLog) add(e event) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.Seq = uint64(len(l.events) + 1)
	if e.Time == 0 {
		e.Time = time.Now().UnixNano()
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
	return l.events[min(seq, uint64(len(l.events))):], l.changed
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
