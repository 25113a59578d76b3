package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strconv"
	"syscall"
)

const maxBody = 32 << 20

func (a *agent) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", a.getHealth)
	mux.HandleFunc("POST /start", a.postStart)
	mux.HandleFunc("GET /events", a.getEvents)
	mux.HandleFunc("POST /ack", a.postAck)
	mux.HandleFunc("GET /logs", a.getLogs)
	mux.HandleFunc("POST /attach", a.postAttach)
	mux.HandleFunc("POST /exec", a.postExec)
	mux.HandleFunc("GET /exec/{id}", a.getExec)
	mux.HandleFunc("POST /resize", a.postResize)
	mux.HandleFunc("POST /signal", a.postSignal)
	mux.HandleFunc("POST /pause", a.postPause)
	mux.HandleFunc("POST /unpause", a.postUnpause)
	mux.HandleFunc("PUT /names", a.putNames)
	mux.HandleFunc("GET /top", a.getTop)
	mux.HandleFunc("GET /stats", a.getStats)
	mux.HandleFunc("GET /stat", a.getStat)
	mux.HandleFunc("GET /archive", a.getArchive)
	mux.HandleFunc("PUT /archive", a.putArchive)
	mux.HandleFunc("GET /export", a.getExport)
	mux.HandleFunc("GET /changes", a.getChanges)
	mux.HandleFunc("POST /pack", a.postPack)
	mux.HandleFunc("POST /quit", a.postQuit)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, http.StatusNotFound, "not_found", errors.New(r.Method+" "+r.URL.Path+" is not in this protocol"))
	})
	return mux
}

func (a *agent) getHealth(w http.ResponseWriter, _ *http.Request) {
	running, task := "", ""
	live := a.live()
	if live != nil {
		running = live.id
	}
	if arn := a.arn.Load(); arn != nil {
		task = *arn
	}
	answer(w, http.StatusOK, map[string]any{
		"status": "ok", "container_health": a.healthStatus(live), "protocol": protocolVersion, "version": version,
		"pid": os.Getpid(), "task": task, "run": running, "proof": a.proof,
	})
}

func (a *agent) postStart(w http.ResponseWriter, r *http.Request) {
	var s spec
	if !decode(w, r, &s) {
		return
	}
	if err := s.check(); err != nil {
		refuse(w, http.StatusBadRequest, "bad_request", err)
		return
	}
	run, conflict := a.start(s)
	switch {
	case conflict != nil:
		refuse(w, http.StatusConflict, "conflict", conflict)
	case run.failed != nil:
		answer(w, http.StatusUnprocessableEntity, run.failed)
	default:
		answer(w, http.StatusOK, map[string]any{
			"pid": run.process.pid, "seq": run.startSeq, "time": run.startedAt.UnixNano(),
		})
	}
}

func (a *agent) postAck(w http.ResponseWriter, r *http.Request) {
	seq, err := strconv.ParseUint(r.URL.Query().Get("seq"), 10, 64)
	if err != nil {
		refuse(w, http.StatusBadRequest, "bad_request", errors.New("seq: not a number"))
		return
	}
	a.acknowledge(seq)
	answer(w, http.StatusOK, struct{}{})
}

// target is what a call is about: a run or an exec.
type target struct {
	Run  string `json:"run"`
	Exec string `json:"exec"`
}

// target has refused what is not found; a run that did not start has no process.
func (a *agent) target(w http.ResponseWriter, t target) (p *process, found bool) {
	if t.Exec != "" {
		if x := a.execs.find(t.Exec); x != nil {
			return x.process, true
		}
		refuse(w, http.StatusNotFound, "not_found", errors.New("no such exec: "+t.Exec))
		return nil, false
	}
	if r := a.find(t.Run); r != nil {
		return r.process, true
	}
	refuse(w, http.StatusNotFound, "not_found", errors.New("no such run: "+t.Run))
	return nil, false
}

func (a *agent) postSignal(w http.ResponseWriter, r *http.Request) {
	var wanted struct {
		target
		Signal string `json:"signal"`
	}
	if !decode(w, r, &wanted) {
		return
	}
	number, err := parseSignal(wanted.Signal)
	if err != nil {
		refuse(w, http.StatusBadRequest, "bad_request", err)
		return
	}
	p, found := a.target(w, wanted.target)
	switch {
	case !found:
	case p == nil || a.reaper.signal(p.pid, number) == syscall.ESRCH:
		refuse(w, http.StatusConflict, "conflict", wanted.dead())
	default:
		answer(w, http.StatusOK, struct{}{})
	}
}

func (a *agent) postResize(w http.ResponseWriter, r *http.Request) {
	var wanted struct {
		target
		Rows    uint16 `json:"rows"`
		Columns uint16 `json:"columns"`
	}
	if !decode(w, r, &wanted) {
		return
	}
	p, found := a.target(w, wanted.target)
	switch {
	case !found:
	case p == nil || p.hasExited():
		refuse(w, http.StatusConflict, "conflict", wanted.dead())
	case p.tty == nil:
		refuse(w, http.StatusConflict, "conflict", errors.New("it has no terminal"))
	case resize(p.tty, wanted.Rows, wanted.Columns) != nil: // closed by all who had it
		refuse(w, http.StatusConflict, "conflict", wanted.dead())
	default:
		answer(w, http.StatusOK, struct{}{})
	}
}

func (t target) dead() error {
	if t.Exec != "" {
		return errors.New("exec " + t.Exec + " is not running")
	}
	return errors.New("run " + t.Run + " is not running")
}

func (a *agent) putNames(w http.ResponseWriter, r *http.Request) {
	var n names
	if !decode(w, r, &n) {
		return
	}
	if n.DNS {
		refuse(w, http.StatusNotImplemented, "not_implemented", errors.New("dns: this agent answers no names"))
		return
	}
	content, err := n.hosts()
	if err != nil {
		refuse(w, http.StatusBadRequest, "bad_request", err)
		return
	}
	a.naming.Lock()
	defer a.naming.Unlock()
	if err := rewrite(a.hostsFile, content); err != nil {
		refuse(w, http.StatusInternalServerError, setup, err)
		return
	}
	answer(w, http.StatusOK, struct{}{})
}

func (a *agent) postQuit(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, struct{}{})
	a.quit()
}

// decode refuses fields it does not know: a wish that is not honoured must not be overheard.
func decode(w http.ResponseWriter, r *http.Request, into any) bool {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		refuse(w, http.StatusBadRequest, "bad_request", err)
		return false
	}
	return true
}

func refuse(w http.ResponseWriter, status int, kind string, err error) {
	answer(w, status, &startError{kind, err.Error()})
}

func answer(w http.ResponseWriter, status int, body any) {
	content, _ := json.Marshal(body)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(content)))
	w.WriteHeader(status)
	w.Write(content)
}
