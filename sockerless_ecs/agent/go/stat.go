package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
)

// pathStat is Docker's of a path in the container; Mode is Go's os.FileMode.
type pathStat struct {
	Name       string `json:"name"`
	Size       int64  `json:"size"`
	Mode       uint32 `json:"mode"`
	Mtime      int64  `json:"mtime_ns"`
	LinkTarget string `json:"link_target"`
}

// asked is a path that a client named, found.
type asked struct {
	path string // as meant: absolute, with a "/" or "/." at its end
	real string // without links
	stat pathStat
}

// findAsked has refused when it does not find what the request names.
func (a *agent) findAsked(w http.ResponseWriter, r *http.Request) (asked, bool) {
	found, err := a.lookUpPath(r.URL.Query().Get("path"), readMounts())
	if err != nil {
		refusePath(w, err)
	}
	return found, err == nil
}

func refusePath(w http.ResponseWriter, err error) {
	if errors.Is(err, os.ErrNotExist) {
		refuse(w, http.StatusNotFound, "not_found", err)
		return
	}
	refuse(w, http.StatusInternalServerError, setup, err)
}

func (a *agent) lookUpPath(named string, mounted mounts) (found asked, err error) {
	found.path = absolute(named)
	info, err := os.Lstat(found.path)
	if err != nil {
		return found, err
	}
	if found.real, err = withoutLinks(found.path); err != nil {
		return found, err
	}
	if a.own.has(found.real) || mounted.inKernels(found.real) {
		return found, errHidden
	}
	found.stat = pathStat{
		Name:  filepath.Base(found.path),
		Size:  info.Size(),
		Mode:  uint32(info.Mode()),
		Mtime: info.ModTime().UnixNano(),
	}
	if info.Mode()&os.ModeSymlink != 0 {
		found.stat.LinkTarget, err = followLinks(found.path)
	}
	return found, err
}

// header tells it in the head of an archive's answer.
func (s pathStat) header() string {
	content, _ := json.Marshal(s)
	return "Sockerless-Stat: " + base64.StdEncoding.EncodeToString(content)
}

func (a *agent) getStat(w http.ResponseWriter, r *http.Request) {
	if found, ok := a.findAsked(w, r); ok {
		answer(w, http.StatusOK, found.stat)
	}
}
