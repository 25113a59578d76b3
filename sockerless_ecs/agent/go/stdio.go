package main

import (
	"os"
	"sync"
	"syscall"
	"unsafe"
)

// open makes the child's stdio and keeps our ends. Only ours are non-blocking: O_NONBLOCK belongs
// to the open file, and a child whose stdout does not block loses output (os.Pipe sets it on both).
func (p *process) open(s spec) (child []int, err error) {
	if s.TTY {
		return p.openTerminal(s)
	}
	in, err := p.openInput(s.Stdin)
	if err != nil {
		return nil, err
	}
	child = []int{in}
	for stream := byte(1); stream <= 2; stream++ {
		fd, ours, err := pipe(0)
		if err != nil {
			return child, err
		}
		child = append(child, fd)
		p.outputs = append(p.outputs, output{stream, ours})
	}
	return child, nil
}

func (p *process) openInput(wanted bool) (child int, err error) {
	if !wanted {
		return nothing()
	}
	child, ours, err := pipe(1)
	if err == nil {
		p.stdin = &input{file: ours}
	}
	return child, err
}

// openTerminal makes a terminal of the wanted size; everything that is written to it is stdout.
func (p *process) openTerminal(s spec) (child []int, err error) {
	master, slave, err := newTerminal()
	if err != nil {
		return nil, err
	}
	p.tty, p.outputs = master, []output{{1, master}}
	if s.Stdin {
		p.stdin = &input{file: master, terminal: true}
	}
	child = []int{slave}
	for len(child) < 3 {
		again, err := syscall.Dup(slave)
		if err != nil {
			return child, err
		}
		syscall.CloseOnExec(again)
		child = append(child, again)
	}
	if s.Rows > 0 || s.Columns > 0 {
		return child, resize(master, s.Rows, s.Columns)
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

// pipe returns the child's end and ours, which is the reading (0) or the writing (1) one.
func pipe(end int) (child int, ours *os.File, err error) {
	var ends [2]int
	if err := syscall.Pipe2(ends[:], syscall.O_CLOEXEC); err != nil {
		return 0, nil, err
	}
	syscall.SetNonblock(ends[end], true)
	return ends[1-end], os.NewFile(uintptr(ends[end]), "pipe"), nil
}

// enlarge makes a pipe take more at once, for those that need it: what all pipes of a user may
// take together is bounded.
func enlarge(pipe *os.File) {
	if raw, err := pipe.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { syscall.Syscall(syscall.SYS_FCNTL, fd, fSetPipeSize, pipeBytes) })
	}
}

// readNow reads what is there, whatever the deadline says.
func readNow(file *os.File, into []byte) (n int) {
	if raw, err := file.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { n, _ = syscall.Read(int(fd), into) })
	}
	return n
}

// newTerminal needs no path to the child's end: it works wherever /dev/pts is.
func newTerminal() (master *os.File, slave int, err error) {
	fd, err := syscall.Open("/dev/ptmx", syscall.O_RDWR|syscall.O_NOCTTY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, 0, &os.PathError{Op: "the container has no terminals: open", Path: "/dev/ptmx", Err: err}
	}
	unlock := int32(0)
	_, err = ioctl(uintptr(fd), syscall.TIOCSPTLCK, uintptr(unsafe.Pointer(&unlock)))
	if err == nil {
		slave, err = ioctl(uintptr(fd), tiocGetPeer, syscall.O_RDWR|syscall.O_NOCTTY|syscall.O_CLOEXEC)
	}
	if err != nil {
		syscall.Close(fd)
		return nil, 0, os.NewSyscallError("open the terminal's other end", err)
	}
	syscall.SetNonblock(fd, true)
	return os.NewFile(uintptr(fd), "terminal"), slave, nil
}

// resize fails once the terminal is closed; its foreground processes are told by the kernel.
func resize(terminal *os.File, rows, columns uint16) error {
	size := [4]uint16{rows, columns}
	raw, err := terminal.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		_, failed = ioctl(fd, syscall.TIOCSWINSZ, uintptr(unsafe.Pointer(&size)))
	})
	if err != nil {
		return err
	}
	return failed
}

func ioctl(fd, request, argument uintptr) (int, error) {
	n, _, e := syscall.Syscall(syscall.SYS_IOCTL, fd, request, argument)
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		syscall.Close(fd)
	}
}

// input is a process's standard input, which several clients may write to: a piece at a time. What
// is written when nothing reads it any more is dropped. Of nil, everything is.
type input struct {
	mu       sync.Mutex
	file     *os.File
	terminal bool
	wide     bool
}

// write waits while the process does not read.
func (i *input) write(piece []byte) {
	if i == nil {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(piece) == maxPayload && !i.wide && !i.terminal {
		i.wide = true
		enlarge(i.file)
	}
	i.file.Write(piece)
}

// end is the end of the process's input, after what is being written. A terminal has none.
func (i *input) end() {
	if i == nil || i.terminal {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.file.Close()
}

// abandon ends the writing, too. A terminal is closed when its output has ended.
func (i *input) abandon() {
	if i != nil && !i.terminal {
		i.file.Close()
	}
}
