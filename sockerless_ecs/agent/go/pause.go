package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"syscall"
	"time"
)

const pauseLimit = 2 * time.Second // for processes that the kernel does not let stop yet

// postPause stops every process of the container.
func (a *agent) postPause(w http.ResponseWriter, r *http.Request) { a.setPaused(w, r, true) }

func (a *agent) postUnpause(w http.ResponseWriter, r *http.Request) { a.setPaused(w, r, false) }

func (a *agent) setPaused(w http.ResponseWriter, r *http.Request, wanted bool) {
	var of struct{ Run string }
	if !decode(w, r, &of) {
		return
	}
	a.gate.Lock() // nothing is being started meanwhile
	defer a.gate.Unlock()
	switch r := a.live(); {
	case r == nil || r.id != of.Run:
		refuse(w, http.StatusConflict, "conflict", fmt.Errorf("run %s is not running", of.Run))
	case r.paused == wanted && wanted:
		refuse(w, http.StatusConflict, "conflict", fmt.Errorf("run %s is already paused", of.Run))
	case r.paused == wanted:
		refuse(w, http.StatusConflict, "conflict", fmt.Errorf("run %s is not paused", of.Run))
	case wanted && !stopEverything():
		signalEverything(syscall.SIGCONT)
		refuse(w, http.StatusInternalServerError, setup, errors.New("not every process could be stopped"))
	default:
		if r.paused = wanted; !wanted {
			signalEverything(syscall.SIGCONT)
		}
		answer(w, http.StatusOK, struct{}{})
	}
}

// stopEverything repeats itself: what is stopped cannot fork, and what had forked is met again. What
// waits in the kernel (D: for a disk, or in vfork for a child that is stopped) stops before it goes on.
func stopEverything() bool {
	for began := time.Now(); time.Since(began) < pauseLimit; time.Sleep(time.Millisecond) {
		signalEverything(syscall.SIGSTOP)
		running := 0
		for _, p := range contained() {
			if p.state == 'R' || p.state == 'S' {
				running++
			}
		}
		if running == 0 {
			return true
		}
	}
	return false
}

// signalEverything reaches all of the container but us.
func signalEverything(number syscall.Signal) {
	if os.Getpid() == 1 {
		syscall.Kill(-1, number)
		return
	}
	for _, p := range contained() {
		syscall.Kill(p.pid, number)
	}
}
