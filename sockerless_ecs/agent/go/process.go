package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	firstRead = 4 << 10 // most processes say little: the buffer grows when it was too small
	pipeBytes = 1 << 20
)

// process is a started child: a run's main process, an exec, a probe.
type process struct {
	pid      int
	stdin    *input   // nil when nobody can write to it
	tty      *os.File // our end of its terminal, nil without one
	outputs  []output
	exited   chan struct{} // closed once code and exitedAt are set
	code     int           // 128+n for signal n, as Docker has it
	exitedAt time.Time
}

type output struct {
	stream byte // 1 stdout (and everything of a terminal), 2 stderr
	file   *os.File
}

// spawn starts a process and returns once exec succeeded, or says precisely why it did not. Its
// output must then be read: by pump, by letGo.
func spawn(r *reaper, s spec) (*process, *startError) {
	if len(s.Argv) == 0 || s.Argv[0] == "" {
		return nil, fail(notFound, "no command specified")
	}
	p := &process{exited: make(chan struct{})}
	fds, err := p.open(s)
	defer closeAll(fds)
	if err != nil {
		p.close()
		return nil, fail(setup, "open stdio: %v", err)
	}
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		p.close()
		return nil, fail(setup, "socketpair: %v", err)
	}
	syscall.SetNonblock(pair[0], true) // else each start that is under way would hold a thread
	shim := os.NewFile(uintptr(pair[0]), "shim")
	defer shim.Close()
	pid, done, err := r.start("/proc/self/exe", []string{shimName}, &syscall.ProcAttr{
		Env:   []string{"GOMAXPROCS=1", "GOGC=off"},
		Files: []uintptr{uintptr(fds[0]), uintptr(fds[1]), uintptr(fds[2]), uintptr(pair[1])},
		Sys:   &syscall.SysProcAttr{Setsid: true, Setctty: s.TTY, Ctty: 0},
	})
	syscall.Close(pair[1])
	if err != nil {
		p.close()
		return nil, fail(setup, "start shim: %v", err)
	}
	json.NewEncoder(shim).Encode(s)
	said, _ := io.ReadAll(shim) // until exec closes the other end
	if string(said) != shimReady {
		<-done
		p.close()
		failure := fail(setup, "the shim died")
		json.Unmarshal(bytes.TrimPrefix(said, []byte(shimReady)), failure)
		return nil, failure
	}
	p.pid = pid
	go func() {
		end := <-done
		p.code, p.exitedAt = end.code, end.at
		close(p.exited)
		p.stdin.abandon() // who still writes to it must not wait for what it left behind
	}()
	return p, nil
}

func (p *process) hasExited() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// pump passes every output to write as records (see spool.go) whose stream and length are set,
// until all have ended or the time that hurry gives is over.
func (p *process) pump(write func(record []byte)) {
	var all sync.WaitGroup
	for _, o := range p.outputs {
		all.Add(1)
		go func() {
			defer all.Done()
			o.pump(write)
		}()
	}
	all.Wait()
}

func (o output) pump(write func(record []byte)) {
	record := make([]byte, recordHead+firstRead)
	pass := func(n int) {
		record[recordHead-frameHead] = o.stream
		binary.BigEndian.PutUint32(record[recordHead-4:], uint32(n))
		write(record[:recordHead+n])
	}
	for {
		n, err := o.file.Read(record[recordHead:])
		if n > 0 {
			pass(n)
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			for total := 0; total < pipeBytes; total += n { // what was there before the time was over
				if n = readNow(o.file, record[recordHead:]); n <= 0 {
					break
				}
				pass(n)
			}
			return
		}
		if err != nil { // a terminal ends with EIO
			o.file.Close()
			return
		}
		if n == firstRead && len(record) == recordHead+firstRead {
			record = make([]byte, recordHead+maxPayload)
			enlarge(o.file)
		}
	}
}

// hurry bounds how long the pump waits for writers that are not the process itself.
func (p *process) hurry(limit time.Duration) {
	for _, o := range p.outputs {
		o.file.SetReadDeadline(time.Now().Add(limit))
	}
}

// letGo reads to nowhere what is still written, to the end: nobody is held back, nobody dies of a
// pipe that is closed.
func (p *process) letGo() {
	for _, o := range p.outputs {
		o.file.SetReadDeadline(time.Time{})
	}
	p.pump(func([]byte) {})
}

// close lets go of our ends.
func (p *process) close() {
	p.stdin.abandon()
	for _, o := range p.outputs {
		o.file.Close()
	}
}
