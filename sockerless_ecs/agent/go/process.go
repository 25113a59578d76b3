package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

// process is a started child.
type process struct {
	pid      int
	outputs  []output
	exited   chan struct{} // closed once code and exitedAt are set
	code     int           // 128+n for signal n, as Docker has it
	exitedAt time.Time
}

type output struct {
	stream byte // 1 stdout, 2 stderr
	file   *os.File
}

// spawn starts a process and returns once exec succeeded, or says precisely why it did not.
func spawn(r *reaper, s spec) (*process, *startError) {
	if len(s.Argv) == 0 || s.Argv[0] == "" {
		return nil, fail(notFound, "no command specified")
	}
	p := &process{exited: make(chan struct{})}
	fds, err := p.open()
	defer closeAll(fds)
	if err != nil {
		return nil, fail(setup, "open stdio: %v", err)
	}
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fail(setup, "socketpair: %v", err)
	}
	shim := os.NewFile(uintptr(pair[0]), "shim")
	defer shim.Close()
	pid, done, err := r.start("/proc/self/exe", []string{shimName}, &syscall.ProcAttr{
		Env:   []string{"GOMAXPROCS=1", "GOGC=off"},
		Files: []uintptr{uintptr(fds[0]), uintptr(fds[1]), uintptr(fds[2]), uintptr(pair[1])},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	syscall.Close(pair[1])
	if err != nil {
		return nil, fail(setup, "start shim: %v", err)
	}
	json.NewEncoder(shim).Encode(s)
	said, _ := io.ReadAll(shim) // until exec closes the other end
	if string(said) != shimReady {
		<-done
		p.closeOutputs()
		failure := fail(setup, "the shim died")
		json.Unmarshal(bytes.TrimPrefix(said, []byte(shimReady)), failure)
		return nil, failure
	}
	p.pid = pid
	go func() {
		end := <-done
		p.code, p.exitedAt = end.code, end.at
		close(p.exited)
	}()
	return p, nil
}

// open makes the child's stdio and keeps our ends. Only ours are non-blocking: O_NONBLOCK belongs
// to the open file, and a child whose stdout does not block loses output (os.Pipe sets it on both).
func (p *process) open() (child []int, err error) {
	in, err := nothing()
	if err != nil {
		return nil, err
	}
	child = []int{in}
	for stream := byte(1); stream <= 2; stream++ {
		fd, ours, err := pipe()
		if err != nil {
			p.closeOutputs()
			return child, err
		}
		child = append(child, fd)
		p.outputs = append(p.outputs, output{stream, ours})
	}
	return child, nil
}

// nothing is a stdin that is at its end: /dev/null, or the reading end of a pipe without a writer
// in an image that has none.
func nothing() (int, error) {
	if null, err := syscall.Open("/dev/null", syscall.O_RDONLY|syscall.O_CLOEXEC, 0); err == nil {
		return null, nil
	}
	var ends [2]int
	if err := syscall.Pipe2(ends[:], syscall.O_CLOEXEC); err != nil {
		return 0, err
	}
	return ends[0], syscall.Close(ends[1])
}

// pipe returns the child's writing end and our reading one.
func pipe() (child int, ours *os.File, err error) {
	var ends [2]int
	if err := syscall.Pipe2(ends[:], syscall.O_CLOEXEC); err != nil {
		return 0, nil, err
	}
	syscall.Syscall(syscall.SYS_FCNTL, uintptr(ends[0]), fSetPipeSize, 1<<20) // best effort: fewer, larger reads
	syscall.SetNonblock(ends[0], true)
	return ends[1], os.NewFile(uintptr(ends[0]), "pipe"), nil
}

// pump passes every output to write until end of file, as records (see spool.go) whose stream
// and length are set.
func (p *process) pump(write func(record []byte)) {
	var all sync.WaitGroup
	for _, o := range p.outputs {
		all.Add(1)
		go func() {
			defer all.Done()
			defer o.file.Close()
			record := make([]byte, recordHead+maxPayload)
			for {
				n, err := o.file.Read(record[recordHead:])
				if n > 0 {
					record[recordHead-frameHead] = o.stream
					binary.BigEndian.PutUint32(record[recordHead-4:], uint32(n))
					write(record[:recordHead+n])
				}
				if err != nil {
					return
				}
			}
		}()
	}
	all.Wait()
}

// hurry bounds how long the pump waits for writers that nobody could kill.
func (p *process) hurry(limit time.Duration) {
	for _, o := range p.outputs {
		o.file.SetReadDeadline(time.Now().Add(limit))
	}
}

func (p *process) closeOutputs() {
	for _, o := range p.outputs {
		o.file.Close()
	}
}

func closeAll(fds []int) {
	for _, fd := range fds {
		syscall.Close(fd)
	}
}
