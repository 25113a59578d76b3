package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// The shim is this binary again: it becomes the process, with everything that must be set from
// inside, and says precisely what failed. Its descriptor 3 is a socketpair: the spec comes in, a
// failure goes out, a successful exec closes it.
const (
	shimName  = "sockerless-shim"
	shimFd    = 3
	shimReady = "ready\n"
	oomWorse  = 500 // by how much the process is a better victim than the agent
)

func runShim() {
	syscall.CloseOnExec(shimFd)
	channel := os.NewFile(shimFd, "agent")
	var s spec
	failure := fail(setup, "the shim is not for you")
	if err := json.NewDecoder(channel).Decode(&s); err == nil {
		failure = s.become(channel)
	}
	json.NewEncoder(channel).Encode(failure)
	os.Exit(125)
}

// become turns this thread into the process; it returns only on failure. The order matters: what
// needs root comes first, and the command is looked up with the final identity.
func (s *spec) become(agent io.Writer) *startError {
	id, err := imageAccounts.lookUp(s.User, s.Groups)
	if err != nil {
		return fail(badUser, "%v", err)
	}
	capabilities, err := capabilityNumbers(s.CapDrop)
	if err != nil {
		return fail(setup, "%v", err)
	}
	if err := s.prepare(id, capabilities); err != nil {
		return fail(setup, "%v", err)
	}
	if failure := s.enter(id); failure != nil {
		return failure
	}
	if err := dropFromSets(capabilities); err != nil {
		return fail(setup, "%v", err)
	}
	if s.NoNewPrivs {
		if err := prctl(prSetNoNewPrivs, 1); err != nil {
			return fail(setup, "no_new_privs: %v", err)
		}
	}
	if value(s.Env, "HOME") == "" {
		s.Env = append(s.Env, "HOME="+id.home)
	}
	path, failure := lookUpCommand(s.Argv[0], value(s.Env, "PATH"))
	if failure != nil {
		return failure
	}
	io.WriteString(agent, shimReady)
	return execFailure(path, syscall.Exec(path, s.Argv, s.Env))
}

// prepare does what only the container's root can do.
func (s *spec) prepare(id identity, capabilities []int) error {
	worsenOomScore()
	for _, u := range s.Ulimits {
		if err := u.apply(); err != nil {
			return err
		}
	}
	for fd := range 3 {
		syscall.Fchown(fd, id.uid, -1) // else /dev/stdout cannot be opened by a non-root user
	}
	return dropFromBounding(capabilities)
}

// enter changes to the working directory and to the user: the directory as root first, then
// again as the user where root could not, as runc does.
func (s *spec) enter(id identity) *startError {
	if !filepath.IsAbs(s.Cwd) {
		return fail(badCwd, "the working directory '%s' is invalid, it needs to be an absolute path", s.Cwd)
	}
	var failed error
	if s.MakeCwd {
		failed = os.MkdirAll(s.Cwd, 0o755)
	}
	if asRoot := os.Chdir(s.Cwd); asRoot == nil {
		failed = nil
	} else if failed == nil {
		failed = asRoot
	}
	if err := id.assume(); err != nil {
		return fail(setup, "become user %d:%d: %v", id.uid, id.gid, err)
	}
	if failed != nil && os.Chdir(s.Cwd) != nil {
		return s.noCwd(failed)
	}
	return nil
}

// noCwd is worded as Docker's clients know it: a start makes its directory, an exec does not.
func (s *spec) noCwd(cause error) *startError {
	var failed *os.PathError
	if !s.MakeCwd && errors.As(cause, &failed) {
		return fail(badCwd, "chdir to cwd (%q) set in config.json failed: %v", s.Cwd, failed.Err)
	}
	return fail(badCwd, "%v", cause)
}

// worsenOomScore makes the kernel prefer the process to the agent, so that somebody is left to
// tell. Raising is always allowed; without /proc there is nothing to raise.
func worsenOomScore() {
	const file = "/proc/self/oom_score_adj"
	current, _ := os.ReadFile(file)
	score, _ := strconv.Atoi(strings.TrimSpace(string(current)))
	os.WriteFile(file, []byte(strconv.Itoa(min(score+oomWorse, 1000))), 0)
}

func execFailure(path string, err error) *startError {
	switch {
	case errors.Is(err, syscall.ENOENT):
		return fail(notFound, "exec %s: no such file or directory: its interpreter or loader does not exist", path)
	case errors.Is(err, syscall.ENOEXEC):
		return fail(badFormat, "exec %s: exec format error", path)
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return fail(notExecutable, "exec %s: %v", path, err)
	}
	return fail(setup, "exec %s: %v", path, fmt.Errorf("cannot run it: %w", err))
}
