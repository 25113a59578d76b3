package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	keptExecs  = 1024            // that have ended and are remembered
	execsLimit = 2 * time.Second // how long output is awaited from others than the exec itself
)

// execRequest asks for one more process beside a run's; what is empty is the run's own.
type execRequest struct {
	ID      string   `json:"id"`
	Run     string   `json:"run"`
	Argv    []string `json:"argv"`
	Env     []string `json:"env"`
	Cwd     string   `json:"cwd"`
	User    string   `json:"user"`
	TTY     bool     `json:"tty"`
	Stdin   bool     `json:"stdin"`
	Rows    uint16   `json:"rows"`
	Columns uint16   `json:"columns"`
	Detach  bool     `json:"detach"`
}

func (e execRequest) check() error {
	if !isID(e.ID) {
		return fmt.Errorf("id: %q is not an exec id", e.ID)
	}
	if slices.ContainsFunc(append(slices.Clone(e.Argv), e.Env...), hasNul) {
		return errors.New("argv, env: a NUL byte cannot be passed to a process")
	}
	return nil
}

func (e execRequest) of(run spec) spec {
	s := run
	s.Argv, s.Cwd, s.User = e.Argv, or(e.Cwd, run.Cwd), or(e.User, run.User)
	s.Env = append(slices.Clone(run.Env), e.Env...)
	s.TTY, s.Stdin, s.Rows, s.Columns = e.TTY, e.Stdin && !e.Detach, e.Rows, e.Columns
	return s
}

// execution is an exec's process.
type execution struct {
	id, run string
	*process
	told chan struct{} // closed when its end is among the events
}

// execTable knows the execs that live, and the newest that have ended.
type execTable struct {
	mu    sync.Mutex
	all   map[string]*execution // nil while one is being started
	ended []string
}

func newExecTable() *execTable { return &execTable{all: map[string]*execution{}} }

// claim takes an id for an exec that is being started.
func (t *execTable) claim(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, taken := t.all[id]; taken {
		return false
	}
	t.all[id] = nil
	return true
}

// settle puts an exec in its claimed place, or gives the place up.
func (t *execTable) settle(id string, x *execution) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if x == nil {
		delete(t.all, id)
	} else {
		t.all[id] = x
	}
}

func (t *execTable) end(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended = append(t.ended, id); len(t.ended) > keptExecs {
		delete(t.all, t.ended[0])
		t.ended = t.ended[1:]
	}
}

// find is nil for one that is not known.
func (t *execTable) find(id string) *execution {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.all[id]
}

// MarshalJSON is the exec's state.
func (x *execution) MarshalJSON() ([]byte, error) {
	state := struct {
		ID   string `json:"id"`
		Pid  int    `json:"pid"`
		Code *int   `json:"code,omitempty"`
	}{x.id, x.pid, nil}
	if x.hasExited() {
		state.Code = &x.code
	}
	return json.Marshal(state)
}

// postExec answers how the start went, then the process's streams.
func (a *agent) postExec(w http.ResponseWriter, r *http.Request) {
	var e execRequest
	if !decode(w, r, &e) {
		return
	}
	if err := e.check(); err != nil {
		refuse(w, http.StatusBadRequest, "bad_request", err)
		return
	}
	if !e.Detach && !asksUpgrade(w, r) {
		return
	}
	x, conflict, failed := a.exec(e)
	switch {
	case conflict != nil:
		refuse(w, http.StatusConflict, "conflict", conflict)
	case failed != nil:
		answer(w, http.StatusUnprocessableEntity, failed)
	case e.Detach:
		go x.letGo()
		answer(w, http.StatusOK, x)
	default:
		if conn, in := upgrade(w, r, fmt.Sprintf("Sockerless-Pid: %d", x.pid)); conn == nil {
			go x.letGo()
		} else {
			gone := make(chan struct{})
			go func() {
				feed(in, x.take, x.stdin.end)
				close(gone)
			}()
			a.sendExec(x, conn, gone, e.TTY)
		}
	}
}

func (x *execution) take(piece []byte) {
	if piece == nil {
		x.stdin.end()
	} else {
		x.stdin.write(piece)
	}
}

// exec starts a process beside the run's and sees to it that its end is known.
func (a *agent) exec(e execRequest) (x *execution, conflict error, failed *startError) {
	if !a.execs.claim(e.ID) {
		return nil, fmt.Errorf("exec %s has been started already", e.ID), nil
	}
	p, conflict, failed := a.beside(e.Run, e.of)
	if p == nil {
		a.execs.settle(e.ID, nil)
		return nil, conflict, failed
	}
	x = &execution{id: e.ID, run: e.Run, process: p, told: make(chan struct{})}
	a.execs.settle(e.ID, x)
	go func() {
		<-x.exited
		a.events.add(event{Type: "exec_exited", Run: x.run, Exec: x.id, Pid: x.pid, Code: &x.code,
			Time: x.exitedAt.UnixNano()})
		a.execs.end(x.id)
		close(x.told)
	}()
	return x, nil, nil
}

// sendExec sends the output to its end. A client that reads slowly holds the process back; one that
// has gone does not, and the process lives on.
func (a *agent) sendExec(x *execution, conn net.Conn, gone <-chan struct{}, tty bool) {
	a.streams.Add(1)
	defer a.streams.Add(-1)
	go func() {
		<-gone
		conn.Close() // what is being sent fails, and what follows
	}()
	go func() {
		<-x.exited
		x.hurry(execsLimit)
	}()
	head := recordHead - frameHead
	if tty {
		head = recordHead
	}
	var one sync.Mutex
	x.pump(func(record []byte) {
		one.Lock()
		defer one.Unlock()
		conn.Write(record[head:])
	})
	go x.letGo()
	select {
	case <-x.exited:
		<-x.told
		hangUp(conn, gone)
	case <-gone:
	}
}

func (a *agent) getExec(w http.ResponseWriter, r *http.Request) {
	if x := a.execs.find(r.PathValue("id")); x != nil {
		answer(w, http.StatusOK, x)
		return
	}
	refuse(w, http.StatusNotFound, "not_found", errors.New("no such exec: "+r.PathValue("id")))
}
