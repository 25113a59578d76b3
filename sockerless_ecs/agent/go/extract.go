package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A tar bomb is refused before it has filled the task, or the agent's memory.
const (
	maxEntries     = 1 << 20
	maxFolderBytes = 32 << 20 // of names of directories whose times are set at the end
	maxPath        = 4095
)

// extraction unpacks a tar below a directory by Docker's rules. It walks to every entry without
// following links that come up meanwhile, and never out of the directory: the archive may bring
// links of its own, and the container's processes run beside it.
type extraction struct {
	root        string // the directory, without links
	own         ownPlaces
	strict      bool      // no directory becomes something else, nor the reverse
	owner       *identity // of everything; nil: as the archive says
	limit       int64     // of unpacked bytes; 0: none
	bytes       int64
	entries     int
	folder      string // that is open: entries come by directory
	folderFd    int
	folders     []folderTimes
	folderBytes int
	buffer      []byte
}

type folderTimes struct {
	path  string
	times [2]syscall.Timespec
}

// refusal is why an archive is not unpacked (any further).
type refusal = startError

const (
	badRequest = "bad_request"
	tooLarge   = "too_large"
	readOnly   = "read_only"
	inTheWay   = "conflict"
)

func (x *extraction) unpack(in io.Reader) error {
	defer x.leave()
	x.buffer = make([]byte, copyBytes)
	archive := tar.NewReader(in)
	for {
		header, err := archive.Next()
		switch {
		case err == io.EOF:
			return x.setFolderTimes()
		case errors.Is(err, errCut):
			return err
		case err != nil:
			return fail(badRequest, "%v", err)
		case header.Typeflag == tar.TypeXGlobalHeader:
			continue
		}
		if err := x.entry(header, archive); err != nil {
			return err
		}
	}
}

// entry unpacks one.
func (x *extraction) entry(header *tar.Header, content io.Reader) error {
	header.Name = filepath.Clean(header.Name)
	path := filepath.Join(x.root, header.Name)
	if len(path) > maxPath {
		return &os.PathError{Op: "open", Path: path, Err: syscall.ENAMETOOLONG}
	}
	if !within(x.root, path) {
		return fail(badRequest, "%q is outside of %q", header.Name, x.root)
	}
	if err := x.count(header, path); err != nil || path == x.root {
		return err // the directory itself stays as it is
	}
	here, err := x.placeOf(path, header.Name, true)
	if err != nil {
		return err
	}
	if x.own.has(here.path) {
		return fail(badRequest, "%q belongs to the agent", path)
	}
	there, err := here.stat()
	switch {
	case err == nil:
		if err := x.makeWay(here, isFolder(there), header, path); err != nil {
			return err
		}
	case err != syscall.ENOENT:
		return here.failure("lstat", err)
	}
	return x.create(here, header, content, path)
}

// count keeps the archive within its bounds.
func (x *extraction) count(header *tar.Header, path string) error {
	x.entries++
	if x.entries > maxEntries {
		return fail(tooLarge, "the archive has more than %d entries", maxEntries)
	}
	if header.Size > 0 {
		x.bytes += header.Size
	}
	if x.limit > 0 && x.bytes > x.limit || x.bytes < 0 {
		return fail(tooLarge, "the archive is larger than %d bytes when it is unpacked", x.limit)
	}
	if header.Typeflag == tar.TypeDir {
		if x.folderBytes += len(path) + 64; x.folderBytes > maxFolderBytes {
			return fail(tooLarge, "the archive has too many directories")
		}
	}
	return nil
}

// placeOf is where a path is, or will be: its directory is opened, and made if asked to.
func (x *extraction) placeOf(path, name string, create bool) (place, error) {
	folder, base := filepath.Split(path)
	resolved, err := followLinks(filepath.Clean(folder))
	if err != nil {
		return place{}, fail(badRequest, "%v", err)
	}
	if !within(x.root, resolved) {
		return place{}, fail(badRequest, "%q is outside of %q", name, x.root)
	}
	if x.own.has(resolved) {
		return place{}, fail(badRequest, "%q belongs to the agent", path)
	}
	if resolved != x.folder {
		x.leave()
		if x.folderFd, err = openFolder(resolved, create); err != nil {
			return place{}, err
		}
		x.folder = resolved
	}
	return place{x.folderFd, base, filepath.Join(resolved, base)}, nil
}

// leave closes the directory that is open.
func (x *extraction) leave() {
	if x.folder != "" {
		syscall.Close(x.folderFd)
		x.folder = ""
	}
}

// makeWay removes what is replaced; directories are merged.
func (x *extraction) makeWay(here place, isFolder bool, header *tar.Header, path string) error {
	becomesFolder := header.Typeflag == tar.TypeDir
	switch {
	case isFolder && becomesFolder:
		return nil
	case x.strict && isFolder:
		return fail(inTheWay, "cannot overwrite directory %q with non-directory %q", path, x.root)
	case x.strict && becomesFolder:
		return fail(inTheWay, "cannot overwrite non-directory %q with directory %q", path, x.root)
	case isFolder && x.own.below(here.path):
		return fail(badRequest, "%q holds what belongs to the agent", path)
	case isFolder && readMounts().below(here.path): // before its files are gone, not after
		return here.failure("unlinkat", syscall.EBUSY)
	}
	return here.remove()
}

// create makes what the entry says, with everything that belongs to it.
func (x *extraction) create(here place, header *tar.Header, content io.Reader, path string) error {
	switch header.Typeflag {
	case tar.TypeDir:
		return x.makeFolder(here, header, path)
	case tar.TypeReg, tar.TypeGNUSparse:
		return x.writeFile(here, header, content)
	case tar.TypeBlock, tar.TypeChar, tar.TypeFifo:
		return x.makeNode(here, header)
	case tar.TypeLink:
		return x.linkTo(here, header)
	case tar.TypeSymlink:
		if target := filepath.Join(filepath.Dir(path), header.Linkname); !within(x.root, target) {
			return fail(badRequest, "invalid symlink %q -> %q", path, header.Linkname)
		}
		if err := here.symlink(header.Linkname); err != nil {
			return here.failure("symlink", err)
		}
		if err := x.chown(here, header, here.chown); err != nil {
			return err
		}
		return here.failure("lchtimes", here.setTimes(entryTimes(header)))
	}
	return fail(badRequest, "unhandled tar header type %d", header.Typeflag)
}

func (x *extraction) makeFolder(here place, header *tar.Header, path string) error {
	if err := syscall.Mkdirat(here.folder, here.name, 0o700); err != nil && err != syscall.EEXIST {
		return here.failure("mkdir", err)
	}
	fd, err := here.open(syscall.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return here.failure("open", err)
	}
	defer syscall.Close(fd)
	x.folders = append(x.folders, folderTimes{path, entryTimes(header)})
	return x.dress(here, fd, header)
}

func (x *extraction) writeFile(here place, header *tar.Header, content io.Reader) error {
	fd, err := here.open(syscall.O_WRONLY|syscall.O_CREAT|syscall.O_EXCL, 0o600)
	if err != nil {
		return here.failure("open", err)
	}
	file := os.NewFile(uintptr(fd), here.path)
	defer file.Close()
	// Only these two methods: io.Copy would choose ways that split or bypass the buffer.
	_, err = io.CopyBuffer(struct{ io.Writer }{file}, struct{ io.Reader }{content}, x.buffer)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fail(badRequest, "%v", err)
	}
	if err != nil {
		return err
	}
	if err := x.dress(here, fd, header); err != nil {
		return err
	}
	return here.failure("chtimes", setOpenTimes(fd, entryTimes(header)))
}

// dress gives an open file or directory its owner, attributes and mode, in this order: a change of
// owner takes set-user-id bits and capabilities away.
func (x *extraction) dress(here place, fd int, header *tar.Header) error {
	err := x.chown(here, header, func(uid, gid int) error { return syscall.Fchown(fd, uid, gid) })
	if err != nil {
		return err
	}
	if err := setXattrs(fd, header); err != nil {
		return here.failure("lsetxattr", err)
	}
	return here.failure("chmod", syscall.Fchmod(fd, uint32(header.Mode)&0o7777))
}

// chown tells the owner to do. What cannot be is a failure, as in Docker; but where the agent has one
// identity only (a sandbox without privileges), that one stands for all, as in identity.assume.
func (x *extraction) chown(here place, header *tar.Header, do func(uid, gid int) error) error {
	uid, gid := header.Uid, header.Gid
	if x.owner != nil {
		uid, gid = x.owner.uid, x.owner.gid
	}
	err := do(uid, gid)
	if (err == syscall.EPERM || err == syscall.EINVAL) && hasOneIdentity() {
		return nil
	}
	if err != nil {
		return fmt.Errorf("failed to Lchown %q for UID %d, GID %d: %w", here.path, uid, gid, err)
	}
	return nil
}

// makeNode makes a device or a fifo. As in Docker a device that may not be made in a user namespace
// is left out.
func (x *extraction) makeNode(here place, header *tar.Header) error {
	mode, device := uint32(syscall.S_IFIFO), 0
	switch header.Typeflag {
	case tar.TypeBlock:
		mode, device = syscall.S_IFBLK, deviceNumber(header.Devmajor, header.Devminor)
	case tar.TypeChar:
		mode, device = syscall.S_IFCHR, deviceNumber(header.Devmajor, header.Devminor)
	}
	err := syscall.Mknodat(here.folder, here.name, mode|0o600, device)
	if err == syscall.EPERM && inUserNamespace() {
		return nil
	}
	if err != nil {
		return here.failure("mknod", err)
	}
	if err := x.chown(here, header, here.chown); err != nil {
		return err
	}
	if err := here.chmodNode(uint32(header.Mode) & 0o7777); err != nil {
		return here.failure("chmod", err)
	}
	return here.failure("chtimes", here.setTimes(entryTimes(header)))
}

// linkTo makes a hard link to what the archive or somebody before it put below the directory.
func (x *extraction) linkTo(here place, header *tar.Header) error {
	target := filepath.Join(x.root, header.Linkname)
	if !within(x.root, target) || target == x.root {
		return fail(badRequest, "invalid hardlink %q -> %q", target, header.Linkname)
	}
	folder, err := syscall.Dup(here.folder) // placeOf may close it
	if err != nil {
		return here.failure("link", err)
	}
	defer syscall.Close(folder)
	here.folder = folder
	from, err := x.placeOf(target, header.Linkname, false)
	if err != nil {
		return err
	}
	if x.own.has(from.path) {
		return fail(badRequest, "%q belongs to the agent", target)
	}
	if err := here.link(from); err != nil {
		return &os.LinkError{Op: "link", Old: target, New: here.path, Err: err}
	}
	return nil
}

// setFolderTimes comes last: making files in a directory changes its time.
func (x *extraction) setFolderTimes() error {
	for _, f := range x.folders {
		here, err := x.placeOf(f.path, f.path, false)
		if err == nil {
			err = here.failure("chtimes", here.setTimes(f.times))
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) { // a later entry took its place
			return err
		}
	}
	return nil
}

func entryTimes(header *tar.Header) [2]syscall.Timespec {
	access := header.AccessTime
	if access.Before(header.ModTime) {
		access = header.ModTime
	}
	return [2]syscall.Timespec{timespec(access), timespec(header.ModTime)}
}

// timespec of a time before 1970, or of one that is no time, is 1970.
func timespec(t time.Time) syscall.Timespec {
	if t.Unix() < 0 || t.Year() > 9999 {
		t = time.Unix(0, 0)
	}
	return syscall.Timespec{Sec: t.Unix(), Nsec: int64(t.Nanosecond())}
}

// hasOneIdentity: nobody but us exists for the kernel, or we may not become or name anybody else.
func hasOneIdentity() bool {
	return syscall.Getuid() != 0 || mappedUsers() == 1
}

func inUserNamespace() bool { return mappedUsers() < 1<<32-1 }

// mappedUsers counts the users of our namespace; all where there is no /proc to tell.
func mappedUsers() (count int64) {
	content, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return 1<<32 - 1
	}
	for _, line := range strings.Split(string(content), "\n") {
		var inside, outside, length int64
		if n, _ := fmt.Sscan(line, &inside, &outside, &length); n == 3 {
			count += length
		}
	}
	return count
}
