package main

import (
	"archive/tar"
	"bytes"
	"strings"
	"syscall"
	"unsafe"
)

const (
	paxXattr       = "SCHILY.xattr."
	capabilityName = "security.capability"
)

// addXattrs tells a file's capabilities and its user's attributes; those of other kinds belong to
// this machine. What cannot be read is left out.
func addXattrs(header *tar.Header, path string) {
	size, err := syscall.Listxattr(path, nil)
	if err != nil || size == 0 {
		return
	}
	names := make([]byte, size)
	if size, err = syscall.Listxattr(path, names); err != nil {
		return
	}
	for _, name := range strings.Split(string(bytes.TrimRight(names[:size], "\x00")), "\x00") {
		if name != capabilityName && !strings.HasPrefix(name, "user.") {
			continue
		}
		if value, ok := xattr(path, name); ok {
			if header.PAXRecords == nil {
				header.PAXRecords = map[string]string{}
			}
			header.PAXRecords[paxXattr+name] = value
		}
	}
}

func xattr(path, name string) (string, bool) {
	size, err := syscall.Getxattr(path, name, nil)
	if err != nil {
		return "", false
	}
	value := make([]byte, size)
	size, err = syscall.Getxattr(path, name, value)
	return string(value[:max(size, 0)]), err == nil
}

// setXattrs gives an open file or directory what its entry says. As in Docker a refusal is passed by
// (a user namespace may not), and so is a file system that has no users' attributes.
func setXattrs(fd int, header *tar.Header) error {
	for record, value := range header.PAXRecords {
		name, ok := strings.CutPrefix(record, paxXattr)
		if !ok {
			continue
		}
		err := fsetxattr(fd, name, []byte(value))
		if err == syscall.EPERM || err == syscall.ENOTSUP && strings.HasPrefix(name, "user.") {
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func fsetxattr(fd int, name string, value []byte) error {
	text, err := syscall.BytePtrFromString(name)
	if err != nil {
		return err
	}
	if _, _, e := syscall.Syscall6(syscall.SYS_FSETXATTR, uintptr(fd), uintptr(unsafe.Pointer(text)),
		uintptr(unsafe.Pointer(unsafe.SliceData(value))), uintptr(len(value)), 0, 0); e != 0 {
		return e
	}
	return nil
}
