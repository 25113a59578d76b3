package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

const maxLinks = 255

// errHidden is what a path is that clients have no business with: it does not exist for them.
var errHidden = os.ErrNotExist

// absolute is the path that a client means, seen from the container's root; a "/" or "/." at its
// end stays, since it says that a link's target is meant, and names the archive's entries.
func absolute(path string) string {
	clean := filepath.Join("/", path)
	if filepath.Base(path) == "." {
		return strings.TrimSuffix(clean, "/") + "/." + trailingSlash(path)
	}
	if clean == "/" {
		return clean
	}
	return clean + trailingSlash(path)
}

func trailingSlash(path string) string {
	if strings.HasSuffix(path, "/") {
		return "/"
	}
	return ""
}

// meansTarget: the path does not stop at a link that it ends with.
func meansTarget(path string) bool {
	return strings.HasSuffix(path, "/") || strings.HasSuffix(path, "/.")
}

// withoutLinks is the path without links; the last element's is followed if the path means its target.
func withoutLinks(path string) (string, error) {
	if meansTarget(path) {
		return followLinks(path)
	}
	parent, err := followLinks(filepath.Dir(path))
	return filepath.Join(parent, filepath.Base(path)), err
}

// followLinks resolves every link in a path, as far as the path exists.
func followLinks(path string) (string, error) {
	resolved, rest, links := "/", path, 0
	for rest != "" {
		var part string
		part, rest, _ = strings.Cut(strings.TrimLeft(rest, "/"), "/")
		next := filepath.Join(resolved, part)
		target, err := os.Readlink(next)
		if part == "" || part == "." || part == ".." || err != nil {
			resolved = next
			continue
		}
		if links++; links > maxLinks {
			return "", errors.New("evalSymlinksInScope: too many links in " + path)
		}
		if filepath.IsAbs(target) {
			resolved = "/"
		}
		rest = target + "/" + rest
	}
	return resolved, nil
}

// within: path is folder or below it; both are clean.
func within(folder, path string) bool {
	return path == folder || strings.HasPrefix(path, strings.TrimSuffix(folder, "/")+"/")
}

// mounts is what is mounted where in the container's file system: mount point → type. It is empty
// where there is no /proc to tell.
type mounts map[string]string

func readMounts() mounts {
	found := mounts{}
	content, _ := os.ReadFile("/proc/self/mountinfo")
	for _, line := range strings.Split(string(content), "\n") {
		before, after, _ := strings.Cut(line, " - ")
		if fields := strings.Fields(before); len(fields) > 4 {
			kind, _, _ := strings.Cut(after, " ")
			found[unescape(fields[4])] = kind
		}
	}
	return found
}

// unescape undoes the kernel's octal escapes of blanks, tabs, newlines and backslashes.
func unescape(text string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(text)
}

// ofKernel are file systems whose files are no container's: reading them says nothing, or never ends.
var ofKernel = map[string]bool{
	"proc": true, "sysfs": true, "cgroup": true, "cgroup2": true, "devpts": true, "devtmpfs": true,
	"mqueue": true, "debugfs": true, "tracefs": true, "securityfs": true, "bpf": true, "pstore": true,
	"configfs": true, "fusectl": true, "binfmt_misc": true, "autofs": true, "efivarfs": true,
}

// isKernels: a walk from above does not enter it. Docker does not mount it where it copies from.
func (m mounts) isKernels(path string) bool {
	kind, mounted := m[path]
	return mounted && (ofKernel[kind] || path == "/dev")
}

// inKernels: the path is below such a mount.
func (m mounts) inKernels(path string) bool {
	for path != "/" {
		path = filepath.Dir(path)
		if kind, mounted := m[path]; mounted {
			return ofKernel[kind]
		}
	}
	return false
}

// ownPlaces are the agent's own folders, without links: nobody reads or changes them through it.
type ownPlaces []string

func newOwnPlaces(folders ...string) (own ownPlaces) {
	for _, folder := range folders {
		if path, err := followLinks(folder); err == nil && path != "/" {
			own = append(own, path)
		}
	}
	return own
}

// has: the path is the agent's own.
func (o ownPlaces) has(path string) bool {
	for _, folder := range o {
		if within(folder, path) {
			return true
		}
	}
	return false
}

// below: some of the agent's own is the path or below it.
func (o ownPlaces) below(path string) bool {
	for _, folder := range o {
		if within(path, folder) {
			return true
		}
	}
	return false
}

// below: something is mounted on the path or below it.
func (m mounts) below(path string) bool {
	for point := range m {
		if within(path, point) {
			return true
		}
	}
	return false
}
