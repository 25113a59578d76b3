package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"
)

// clockStep is by how much the time that the kernel gives to a file may lie behind ours.
const clockStep = 10 * time.Millisecond

// notOfImage are places that are made for every container: they are not its changes.
var notOfImage = map[string]bool{
	"/proc": true, "/sys": true, "/dev": true, "/etc/hosts": true, "/etc/hostname": true,
	"/etc/resolv.conf": true, "/.dockerenv": true,
}

// changes finds the paths of the root file system that were changed, as far as a time can tell.
type changes struct {
	out     *bufio.Writer
	own     ownPlaces
	mounted mounts
	since   time.Time
}

// getChanges sends a JSON line for each path that may differ from the image.
func (a *agent) getChanges(w http.ResponseWriter, r *http.Request) {
	conn, in := upgrade(w, r)
	if conn == nil {
		return
	}
	a.streams.Add(1)
	defer a.streams.Add(-1)
	gone := make(chan struct{})
	go func() {
		io.Copy(io.Discard, in)
		close(gone)
	}()
	c := &changes{bufio.NewWriterSize(conn, copyBytes), a.own, readMounts(), a.began.Add(-clockStep)}
	err := c.below("/")
	if err == nil {
		err = c.out.Flush()
	}
	if err != nil {
		cut(conn)
		return
	}
	hangUp(conn, gone)
}

// below looks at a directory and everything in it.
func (c *changes) below(folder string) error {
	info, err := os.Lstat(folder)
	if err != nil {
		return passable(err)
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return passable(err)
	}
	if c.isNew(info) {
		if err := c.tell(folder, true, entries); err != nil {
			return err
		}
	}
	for _, entry := range entries {
		path := filepath.Join(folder, entry.Name())
		if _, mounted := c.mounted[path]; mounted || notOfImage[path] || c.own.has(path) {
			continue
		}
		if entry.IsDir() {
			if err := c.below(path); err != nil {
				return err
			}
			continue
		}
		if info, err := entry.Info(); err == nil && c.isNew(info) {
			if err := c.tell(path, false, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// isNew: nobody can set the time of the last change of what is known about a file.
func (c *changes) isNew(info os.FileInfo) bool {
	changed := info.Sys().(*syscall.Stat_t).Ctim
	return !time.Unix(changed.Sec, changed.Nsec).Before(c.since)
}

func (c *changes) tell(path string, folder bool, entries []os.DirEntry) error {
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = quote(entry.Name())
	}
	_, err := fmt.Fprintf(c.out, "{\"path\":%s,\"directory\":%t,\"entries\":[%s]}\n", quote(path), folder,
		strings.Join(names, ","))
	return err
}

// quote is JSON; a byte that is no UTF-8 becomes a lone surrogate, as in Python, so that every name
// arrives as it is.
func quote(name string) string {
	var out strings.Builder
	out.WriteByte('"')
	for len(name) > 0 {
		r, size := utf8.DecodeRuneInString(name)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&out, `\udc%02x`, name[0])
		case r < ' ' || r == '"' || r == '\\':
			fmt.Fprintf(&out, `\u%04x`, r)
		default:
			out.WriteString(name[:size])
		}
		name = name[size:]
	}
	out.WriteByte('"')
	return out.String()
}
