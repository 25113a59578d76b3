package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

// Numbers of linux/fcntl.h that package syscall lacks; the same on amd64 and arm64.
const (
	oPath      = 0x200000
	atNoFollow = 0x100
	atRemove   = 0x200
	isReadOnly = 0x1 // ST_RDONLY
)

// place is a name in an open directory: whatever the container's processes do to the path that led
// there, what is done with it is done in that directory, and follows no link.
type place struct {
	folder int
	name   string
	path   string // what to call it
}

// openFolder opens a path without links step by step, making what is missing if asked to. A link
// that has come up meanwhile is an error.
func openFolder(real string, create bool) (int, error) {
	fd, err := syscall.Open("/", oPath|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	path := "/"
	for _, part := range strings.Split(real, "/") {
		if part == "" || err != nil {
			continue
		}
		path = filepath.Join(path, part)
		here := place{fd, part, path}
		next, failed := here.open(oPath|syscall.O_DIRECTORY, 0)
		if failed == syscall.ENOENT && create {
			if failed = syscall.Mkdirat(fd, part, 0o755); failed == nil || failed == syscall.EEXIST {
				next, failed = here.open(oPath|syscall.O_DIRECTORY, 0)
			}
		}
		syscall.Close(fd)
		fd, err = next, here.failure("mkdir", failed)
	}
	return fd, err
}

func (p place) failure(did string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: did, Path: p.path, Err: err}
}

func (p place) open(flags int, mode uint32) (int, error) {
	for {
		fd, err := syscall.Openat(p.folder, p.name, flags|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, mode)
		if err != syscall.EINTR {
			return fd, err
		}
	}
}

// stat is lstat; ENOENT when there is nothing.
func (p place) stat() (found syscall.Stat_t, err error) {
	fd, err := p.open(oPath, 0)
	if err != nil {
		return found, err
	}
	defer syscall.Close(fd)
	return found, syscall.Fstat(fd, &found)
}

func isFolder(stat syscall.Stat_t) bool { return stat.Mode&syscall.S_IFMT == syscall.S_IFDIR }

// remove takes away what is there, with everything below it.
func (p place) remove() error {
	err := syscall.Unlinkat(p.folder, p.name)
	if err != syscall.EISDIR {
		return p.failure("unlinkat", err)
	}
	fd, err := p.open(syscall.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return p.failure("openat", err)
	}
	folder := os.NewFile(uintptr(fd), p.path)
	defer folder.Close()
	names, err := folder.Readdirnames(-1)
	for _, name := range names {
		if err == nil {
			err = place{fd, name, p.path + "/" + name}.remove()
		}
	}
	if err != nil {
		return err
	}
	return p.failure("unlinkat", p.removeFolder())
}

func (p place) chown(uid, gid int) error {
	return syscall.Fchownat(p.folder, p.name, uid, gid, atNoFollow)
}

// link gives what is at from one more name.
func (p place) link(from place) error {
	old, new, err := twoStrings(from.name, p.name)
	if err != nil {
		return err
	}
	_, _, e := syscall.Syscall6(syscall.SYS_LINKAT, uintptr(from.folder), uintptr(unsafe.Pointer(old)),
		uintptr(p.folder), uintptr(unsafe.Pointer(new)), 0, 0)
	return failed(e)
}

func (p place) symlink(target string) error {
	to, name, err := twoStrings(target, p.name)
	if err != nil {
		return err
	}
	_, _, e := syscall.Syscall(syscall.SYS_SYMLINKAT, uintptr(unsafe.Pointer(to)), uintptr(p.folder),
		uintptr(unsafe.Pointer(name)))
	return failed(e)
}

// removeFolder takes an empty one away.
func (p place) removeFolder() error {
	name, err := syscall.BytePtrFromString(p.name)
	if err != nil {
		return err
	}
	_, _, e := syscall.Syscall(syscall.SYS_UNLINKAT, uintptr(p.folder), uintptr(unsafe.Pointer(name)), atRemove)
	return failed(e)
}

// setTimes sets the times of access and change.
func (p place) setTimes(times [2]syscall.Timespec) error {
	name, err := syscall.BytePtrFromString(p.name)
	if err != nil {
		return err
	}
	_, _, e := syscall.Syscall6(syscall.SYS_UTIMENSAT, uintptr(p.folder), uintptr(unsafe.Pointer(name)),
		uintptr(unsafe.Pointer(&times)), atNoFollow, 0, 0)
	return failed(e)
}

// setOpenTimes is setTimes of what is open.
func setOpenTimes(fd int, times [2]syscall.Timespec) error {
	_, _, e := syscall.Syscall6(syscall.SYS_UTIMENSAT, uintptr(fd), 0, uintptr(unsafe.Pointer(&times)), 0, 0, 0)
	return failed(e)
}

func twoStrings(a, b string) (first, second *byte, err error) {
	if first, err = syscall.BytePtrFromString(a); err == nil {
		second, err = syscall.BytePtrFromString(b)
	}
	return first, second, err
}

func failed(e syscall.Errno) error {
	if e != 0 {
		return e
	}
	return nil
}

// chmodNode changes a device's or a fifo's mode. There is no way to do it without following a link
// that has taken its place but through /proc; where that is missing, nobody else runs as root either.
func (p place) chmodNode(mode uint32) error {
	fd, err := p.open(oPath, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	err = syscall.Chmod("/proc/self/fd/"+strconv.Itoa(fd), mode)
	if err == syscall.ENOENT {
		err = syscall.Fchmodat(p.folder, p.name, mode, 0)
	}
	return err
}
