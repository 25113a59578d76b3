package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// identity is who a process runs as.
type identity struct {
	uid, gid int
	groups   []int
	home     string
	added    bool // groups were asked for, beyond what the image says
}

// accounts reads an image's passwd and group files; tests put others in their place.
type accounts struct{ passwd, group string }

var imageAccounts = accounts{"/etc/passwd", "/etc/group"}

// lookUp follows Docker's rules for "user[:group]": names come from the image's own passwd and
// group files, numbers work without them (group 0), and an explicit group switches the user's
// supplementary groups off.
func (a accounts) lookUp(user string, added []string) (identity, error) {
	id := identity{home: "/", added: len(added) > 0}
	name, group, explicit := strings.Cut(user, ":")
	if name == "" {
		name = "0"
	}
	number, notNumber := strconv.ParseInt(name, 10, 32)
	id.uid = int(number)
	found := false
	for _, f := range table(a.passwd, 6) {
		if f[0] != name && (notNumber != nil || f[2] != name) {
			continue
		}
		name, found = f[0], true
		id.home = or(f[5], "/")
		id.uid, _ = strconv.Atoi(f[2])
		id.gid, _ = strconv.Atoi(f[3])
		break
	}
	if !found && (notNumber != nil || number < 0) {
		return id, fmt.Errorf("unable to find user %s: no matching entries in passwd file", name)
	}
	var err error
	if explicit && group != "" {
		if id.gid, err = a.lookUpGroup(group); err != nil {
			return id, err
		}
	} else if found {
		for _, f := range table(a.group, 4) {
			if slices.Contains(strings.Split(f[3], ","), name) {
				gid, _ := strconv.Atoi(f[2])
				id.groups = append(id.groups, gid)
			}
		}
	}
	for _, extra := range added {
		gid, err := a.lookUpGroup(extra)
		if err != nil {
			return id, err
		}
		id.groups = append(id.groups, gid)
	}
	id.groups = append([]int{id.gid}, id.groups...) // the primary one too, as runc since CVE-2022-36109
	slices.Sort(id.groups)
	id.groups = slices.Compact(id.groups)
	return id, nil
}

func (a accounts) lookUpGroup(group string) (int, error) {
	for _, f := range table(a.group, 3) {
		if f[0] == group {
			return strconv.Atoi(f[2])
		}
	}
	gid, err := strconv.ParseInt(group, 10, 32)
	if err != nil || gid < 0 {
		return 0, fmt.Errorf("unable to find group %s: no matching entries in group file", group)
	}
	return int(gid), nil
}

// table reads a colon-separated file; a missing file is an empty one.
func table(path string, fields int) (rows [][]string) {
	content, _ := os.ReadFile(path)
	for _, line := range strings.Split(string(content), "\n") {
		if f := strings.Split(line, ":"); len(f) >= fields && !strings.HasPrefix(line, "#") {
			rows = append(rows, f)
		}
	}
	return rows
}

// assume is final for the process: groups, then gid, then uid. Where the agent itself is not
// root (a sandbox without privileges), its own identity stands for the container's root, and
// where the kernel forbids setgroups (a user namespace of one uid) the image's supplementary
// groups are left out; groups that somebody asked for are not.
func (id identity) assume() error {
	if syscall.Getuid() != 0 && id.uid == 0 && id.gid == 0 && !id.added {
		return nil
	}
	if err := syscall.Setgroups(id.groups); err != nil {
		same := id.uid == syscall.Getuid() && id.gid == syscall.Getgid()
		if err != syscall.EPERM || id.added || !same {
			return fmt.Errorf("setgroups: %w", err)
		}
	}
	if err := syscall.Setresgid(id.gid, id.gid, id.gid); err != nil {
		return fmt.Errorf("setgid %d: %w", id.gid, err)
	}
	if err := syscall.Setresuid(id.uid, id.uid, id.uid); err != nil {
		return fmt.Errorf("setuid %d: %w", id.uid, err)
	}
	return nil
}
