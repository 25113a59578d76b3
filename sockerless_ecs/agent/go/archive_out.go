package main

import (
	"archive/tar"
	"bufio"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const copyBytes = 256 << 10

// tarring packs trees of files as Docker does: times in whole seconds, sparse files as data, the
// kernel's file systems and the agent's own folder left out.
type tarring struct {
	out     *tar.Writer
	own     ownPlaces
	mounted mounts
	stays   bool              // other file systems are not entered: their mount points are empty
	links   map[fileID]string // the first name of what has several
	buffer  []byte
}

type fileID struct{ device, inode uint64 }

func (a *agent) getArchive(w http.ResponseWriter, r *http.Request) {
	if !asksUpgrade(w, r) {
		return
	}
	if found, ok := a.findAsked(w, r); ok {
		a.sendTar(w, r, func(t *tarring) error { return t.add(found.real, entryName(found.path)) }, found.stat.header())
	}
}

// getExport packs the root file system without its root, as Docker does.
func (a *agent) getExport(w http.ResponseWriter, r *http.Request) {
	a.sendTar(w, r, func(t *tarring) error {
		t.stays = true
		return t.addBelow("/", "")
	})
}

// entryName is what an archive's first entry is called: the path's base name, "." when it ends with
// that, and nothing for the root, whose entries begin with their "/".
func entryName(path string) string {
	if base := filepath.Base(path); base != "/" {
		return base
	}
	return ""
}

// sendTar takes the connection over; what fails half-way cuts it.
func (a *agent) sendTar(w http.ResponseWriter, r *http.Request, pack func(*tarring) error, headers ...string) {
	conn, in := upgrade(w, r, headers...)
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
	if err := a.writeTar(conn, pack); err != nil {
		a.emitter.note("%s: %v", r.URL.Path, err)
		cut(conn)
		return
	}
	hangUp(conn, gone)
}

// cut ends a connection so that the client knows that what it got is not all: without close_notify.
func cut(conn net.Conn) {
	if encrypted, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = encrypted.NetConn()
	}
	conn.Close()
}

func (a *agent) writeTar(conn io.Writer, pack func(*tarring) error) error {
	buffered := bufio.NewWriterSize(conn, copyBytes)
	t := &tarring{
		out: tar.NewWriter(buffered), own: a.own, mounted: readMounts(),
		links: map[fileID]string{}, buffer: make([]byte, copyBytes),
	}
	if err := pack(t); err != nil {
		return err
	}
	if err := t.out.Close(); err != nil {
		return err
	}
	return buffered.Flush()
}

// add packs a path and what is below it. What vanished meanwhile or may not be read is left out.
func (t *tarring) add(path, name string) error {
	info, err := os.Lstat(path)
	if err != nil || t.own.has(path) || info.Mode()&fs.ModeSocket != 0 {
		return passable(err)
	}
	if err := t.put(path, name, info); err != nil {
		return passable(err)
	}
	if !info.IsDir() || t.isEmptied(path) {
		return nil
	}
	return t.addBelow(path, name+"/")
}

func (t *tarring) addBelow(path, prefix string) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return passable(err)
	}
	for _, entry := range entries {
		if err := t.add(filepath.Join(path, entry.Name()), prefix+entry.Name()); err != nil {
			return err
		}
	}
	return nil
}

// isEmptied: something is mounted there that is not packed.
func (t *tarring) isEmptied(path string) bool {
	_, mounted := t.mounted[path]
	return t.mounted.isKernels(path) || t.stays && mounted && path != "/"
}

// passable is nil for what a walk may meet in a living file system.
func passable(err error) error {
	for _, usual := range []error{fs.ErrNotExist, fs.ErrPermission, syscall.ENOTDIR, syscall.ELOOP, errNotRegular} {
		if errors.Is(err, usual) {
			return nil
		}
	}
	return err
}

// put writes one entry.
func (t *tarring) put(path, name string, info fs.FileInfo) error {
	header, err := t.header(path, name, info)
	if err != nil {
		return err
	}
	if header.Typeflag != tar.TypeReg || t.isEmptied(path) {
		header.Size = 0
		t.remember(name, info)
		return t.out.WriteHeader(header)
	}
	file, err := openRegular(path)
	if err != nil {
		return err
	}
	defer file.Close()
	t.remember(name, info)
	if err := t.out.WriteHeader(header); err != nil {
		return err
	}
	return t.content(file, header.Size)
}

// remember an entry that is packed under the first of its names.
func (t *tarring) remember(name string, info fs.FileInfo) {
	stat := info.Sys().(*syscall.Stat_t)
	id := fileID{uint64(stat.Dev), stat.Ino}
	if _, known := t.links[id]; !known && !info.IsDir() && stat.Nlink > 1 {
		t.links[id] = name
	}
}

// content is as long as the header said, whatever becomes of the file.
func (t *tarring) content(file *os.File, size int64) error {
	for size > 0 {
		n, err := file.Read(t.buffer[:min(size, int64(len(t.buffer)))])
		if n == 0 {
			if err != nil && err != io.EOF {
				return errors.New("read " + file.Name() + ": " + err.Error()) // no passing by: half of it is sent
			}
			clear(t.buffer)
			n = int(min(size, int64(len(t.buffer))))
		}
		if _, err := t.out.Write(t.buffer[:n]); err != nil {
			return err
		}
		size -= int64(n)
	}
	return nil
}

var errNotRegular = errors.New("not a regular file any more")

// openRegular neither follows a link nor waits for a fifo's writer, whatever the path has become.
func openRegular(path string) (*os.File, error) {
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	var stat syscall.Stat_t
	if err := syscall.Fstat(fd, &stat); err != nil || stat.Mode&syscall.S_IFMT != syscall.S_IFREG {
		syscall.Close(fd)
		return nil, errors.Join(err, errNotRegular)
	}
	syscall.SetNonblock(fd, false) // else Go would try to poll it
	return os.NewFile(uintptr(fd), path), nil
}

func (t *tarring) header(path, name string, info fs.FileInfo) (*tar.Header, error) {
	stat := info.Sys().(*syscall.Stat_t)
	header := &tar.Header{
		Format:  tar.FormatPAX,
		Name:    name,
		Mode:    int64(stat.Mode & 0o7777),
		Uid:     int(stat.Uid),
		Gid:     int(stat.Gid),
		ModTime: time.Unix(info.ModTime().Unix(), 0),
	}
	switch stat.Mode & syscall.S_IFMT {
	case syscall.S_IFDIR:
		header.Typeflag = tar.TypeDir
		header.Name += "/"
		addXattrs(header, path)
		return header, nil
	case syscall.S_IFLNK:
		target, err := os.Readlink(path)
		if err != nil {
			return nil, err
		}
		header.Typeflag, header.Linkname = tar.TypeSymlink, target
	case syscall.S_IFCHR, syscall.S_IFBLK:
		header.Typeflag = tar.TypeChar
		if stat.Mode&syscall.S_IFMT == syscall.S_IFBLK {
			header.Typeflag = tar.TypeBlock
		}
		header.Devmajor, header.Devminor = deviceNumbers(uint64(stat.Rdev))
	case syscall.S_IFIFO:
		header.Typeflag = tar.TypeFifo
	default:
		header.Typeflag, header.Size = tar.TypeReg, stat.Size
	}
	if first, again := t.links[fileID{uint64(stat.Dev), stat.Ino}]; again {
		header.Typeflag, header.Linkname, header.Size = tar.TypeLink, first, 0
	}
	if header.Typeflag == tar.TypeReg {
		addXattrs(header, path)
	}
	return header, nil
}

// deviceNumbers as glibc's major(3) and minor(3).
func deviceNumbers(device uint64) (major, minor int64) {
	major = int64(device>>8&0xfff | device>>32&^0xfff)
	minor = int64(device&0xff | device>>12&^0xff)
	return major, minor & 0xffffffff
}

func deviceNumber(major, minor int64) int {
	M, m := uint64(major), uint64(minor)
	return int(m&0xff | M&0xfff<<8 | m&^0xff<<12 | M&^0xfff<<32)
}
