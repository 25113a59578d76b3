package main

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// whiteout begins the names with which a layer says what it takes away: a file that is called so
// cannot be told from that.
const whiteout = ".wh."

// postPack packs paths as a layer has them, in the order in which they come: in frames, each path
// ended by a zero byte, as it is or, with a slash at its end, with everything below it. Nothing of
// what is mounted is packed, nothing that is made for every container, and nothing of the agent's.
func (a *agent) postPack(w http.ResponseWriter, r *http.Request) {
	conn, in := upgrade(w, r)
	if conn == nil {
		return
	}
	a.streams.Add(1)
	defer a.streams.Add(-1)
	paths := bufio.NewReaderSize(&oneInput{frames: &frameReader{in: in}}, maxPath+2)
	err := a.writeTar(conn, func(t *tarring) error { return t.packAll(paths) })
	if err != nil {
		a.emitter.note("%s: %v", r.URL.Path, err)
		cut(conn)
		return
	}
	gone := make(chan struct{})
	go func() {
		io.Copy(io.Discard, in)
		close(gone)
	}()
	hangUp(conn, gone)
}

// packAll packs the paths as they come.
func (t *tarring) packAll(paths *bufio.Reader) error {
	for {
		path, err := paths.ReadSlice(0)
		switch {
		case err == io.EOF && len(path) == 0:
			return nil
		case err != nil:
			return errors.Join(errCut, err)
		}
		if err := t.pack(string(path[:len(path)-1])); err != nil {
			return err
		}
	}
}

// pack takes a path that a client names: as it was when it was found, or not at all.
func (t *tarring) pack(path string) error {
	clean := filepath.Clean(path)
	parent := filepath.Dir(clean)
	if real, err := followLinks(parent); err != nil || real != parent || clean == "/" {
		return nil
	}
	return t.packFound(clean, strings.HasSuffix(path, "/"))
}

func (t *tarring) packFound(path string, whole bool) error {
	if !t.mounted.inImage(path) || t.own.has(path) || strings.HasPrefix(filepath.Base(path), whiteout) {
		return nil
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&fs.ModeSocket != 0 {
		return passable(err)
	}
	if err := t.put(path, path[1:], info); err != nil {
		return passable(err)
	}
	if !whole || !info.IsDir() {
		return nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return passable(err)
	}
	for _, entry := range entries {
		if err := t.packFound(filepath.Join(path, entry.Name()), true); err != nil {
			return err
		}
	}
	return nil
}

// inImage: the path is the root's own, from its beginning to its end: nothing is mounted on its way,
// and nothing of it is made for every container.
func (m mounts) inImage(path string) bool {
	if !filepath.IsAbs(path) {
		return false
	}
	for ; path != "/"; path = filepath.Dir(path) {
		if _, mounted := m[path]; mounted || notOfImage[path] {
			return false
		}
	}
	return true
}
