package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
)

// putArchive unpacks a tar that comes in frames. It answers as soon as it knows how that went, be it
// before the tar has come to its end.
func (a *agent) putArchive(w http.ResponseWriter, r *http.Request) {
	if !asksUpgrade(w, r) {
		return
	}
	x, refused := a.extraction(r)
	if refused != nil {
		status := http.StatusBadRequest
		switch refused.Kind {
		case "not_found":
			status = http.StatusNotFound
		case setup:
			status = http.StatusInternalServerError
		}
		answer(w, status, refused)
		return
	}
	conn, in := upgrade(w, r)
	if conn == nil {
		return
	}
	a.streams.Add(1)
	defer a.streams.Add(-1)
	tar := &oneInput{frames: &frameReader{in: in}}
	err := x.unpack(tar)
	if err == nil {
		_, err = io.Copy(io.Discard, tar) // what it is padded with
	}
	if errors.Is(err, errCut) {
		conn.Close()
		return
	}
	gone := make(chan struct{})
	go func() {
		io.Copy(io.Discard, in)
		close(gone)
	}()
	json.NewEncoder(conn).Encode(outcome(err))
	hangUp(conn, gone)
}

// oneInput ends for good where a client's input first ends.
type oneInput struct {
	frames *frameReader
	ended  bool
}

func (i *oneInput) Read(into []byte) (n int, err error) {
	if i.ended {
		return 0, io.EOF
	}
	n, err = i.frames.Read(into)
	i.ended = err == io.EOF
	return n, err
}

// outcome is what the client is told.
func outcome(err error) any {
	var refused *refusal
	switch {
	case err == nil:
		return struct{}{}
	case errors.As(err, &refused):
		return refused
	}
	return fail(setup, "%v", err)
}

// extraction checks what can be checked before a tar comes.
func (a *agent) extraction(r *http.Request) (*extraction, *refusal) {
	query := r.URL.Query()
	limit, err := optionalNumber(r, "limit")
	if err != nil {
		return nil, fail(badRequest, "%v", err)
	}
	x := &extraction{own: a.own, strict: query.Get("no_overwrite_dir_non_dir") == "1", limit: int64(limit)}
	mounted := readMounts()
	x.root, err = filepath.EvalSymlinks(filepath.Join("/", query.Get("path")))
	if err == nil && (x.own.has(x.root) || mounted.inKernels(x.root)) {
		err = errHidden
	}
	var info os.FileInfo
	if err == nil {
		info, err = os.Stat(x.root)
	}
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fail("not_found", "%v", err)
	case err != nil:
		return nil, fail(setup, "%v", err)
	case !info.IsDir():
		return nil, fail(badRequest, "extraction point is not a directory")
	}
	if query.Get("copy_uid_gid") == "1" {
		if x.owner, err = a.ownerOfCopies(query.Get("user")); err != nil {
			return nil, fail(badRequest, "%v", err)
		}
	}
	return x, mounted.refuseReadOnly(x.root)
}

// ownerOfCopies is the container's user, who owns what is copied in if that is asked for: the one
// that is told, or else the one of the newest run. Nobody if the container has none.
func (a *agent) ownerOfCopies(user string) (*identity, error) {
	a.mu.Lock()
	if user == "" && a.current != nil {
		user = a.current.spec.User
	}
	a.mu.Unlock()
	if user == "" {
		return nil, nil
	}
	id, err := imageAccounts.lookUp(user, nil)
	return &id, err
}

// refuseReadOnly in Docker's words, for the root file system and for volumes.
func (m mounts) refuseReadOnly(path string) *refusal {
	var stat syscall.Statfs_t
	if syscall.Statfs(path, &stat) != nil || stat.Flags&isReadOnly == 0 {
		return nil
	}
	for ; path != "/"; path = filepath.Dir(path) {
		if _, mounted := m[path]; mounted {
			return fail(readOnly, "mounted volume is marked read-only")
		}
	}
	return fail(readOnly, "container rootfs is marked read-only")
}
