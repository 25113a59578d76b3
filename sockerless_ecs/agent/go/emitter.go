package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	stdoutMark = "[stdout] "
	stderrMark = "[stderr] "
	agentMark  = "[sockerless] "
	numberMark = 1000 // lines between two number marks
)

// emitter owns our stdout, which the log driver reads and may not read: one line there is one
// numbered line, marked where it could be taken for something else. Nobody waits for it but the
// goroutines that write to it.
type emitter struct {
	mu    sync.Mutex
	out   *bufio.Writer
	notes chan string
}

func newEmitter(out io.Writer) *emitter {
	e := &emitter{out: bufio.NewWriterSize(out, 64<<10), notes: make(chan string, 64)}
	go func() {
		for text := range e.notes {
			e.write(text)
		}
	}()
	return e
}

// note says something of the agent's own, if the log driver keeps up.
func (e *emitter) note(format string, args ...any) {
	select {
	case e.notes <- fmt.Sprintf(format, args...):
	default:
	}
}

// lastNote returns when it is written, or soon.
func (e *emitter) lastNote(format string, args ...any) {
	written := make(chan struct{})
	go func() {
		e.write(fmt.Sprintf(format, args...))
		close(written)
	}()
	select {
	case <-written:
	case <-time.After(time.Second):
	}
}

func (e *emitter) write(text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.put(text)
	e.out.Flush()
}

// put writes a line of the agent's own, exactly one.
func (e *emitter) put(text string) {
	e.out.WriteString(agentMark)
	e.out.WriteString(strings.ReplaceAll(text, "\n", " "))
	e.out.WriteByte('\n')
}

// putLine writes a line of the process's. Log services drop empty events and want UTF-8: a byte
// that is none becomes "?", so that nothing changes its length on the way.
func (e *emitter) putLine(l line, run string) {
	text, terminated := bytes.CutSuffix(l.data, []byte{'\n'})
	if !terminated && len(text) < minPiece {
		e.put(fmt.Sprintf("unterminated run=%s stream=%s", run, streamNames[l.stream]))
	}
	switch {
	case l.stream == 2:
		e.out.WriteString(stderrMark)
	case len(text) == 0 || looksMarked(text):
		e.out.WriteString(stdoutMark)
	}
	if utf8.Valid(text) {
		e.out.Write(text)
	} else {
		e.putReplaced(text)
	}
	e.out.WriteByte('\n')
}

func (e *emitter) putReplaced(text []byte) {
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if r == utf8.RuneError && size == 1 {
			e.out.WriteByte('?')
		} else {
			e.out.Write(text[:size])
		}
		text = text[size:]
	}
}

var streamNames = [3]string{"", "stdout", "stderr"}

func looksMarked(text []byte) bool {
	for _, mark := range []string{stdoutMark, stderrMark, agentMark} {
		if len(text) >= len(mark) && string(text[:len(mark)]) == mark {
			return true
		}
	}
	return false
}

// logger is for packages that insist on logging: on our stderr they would add lines.
func (e *emitter) logger() *log.Logger { return log.New(noteWriter{e}, "", 0) }

type noteWriter struct{ e *emitter }

func (w noteWriter) Write(b []byte) (int, error) {
	w.e.note("%s", bytes.TrimRight(b, "\n"))
	return len(b), nil
}
