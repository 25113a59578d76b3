package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// lookUpCommand searches PATH with the final user, directory and environment, and says why not
// in the words that Docker's clients read.
func lookUpCommand(name, path string) (string, *startError) {
	if strings.Contains(name, "/") {
		return name, executable(name)
	}
	for _, dir := range strings.Split(path, ":") {
		if candidate := dir + "/" + name; dir != "" && executable(candidate) == nil {
			return candidate, nil
		}
	}
	return "", fail(notFound, "exec: %q: executable file not found in $PATH", name)
}

func executable(path string) *startError {
	info, err := os.Stat(path)
	var cause *os.PathError
	switch {
	case errors.As(err, &cause) && cause.Err == syscall.EACCES:
		return fail(notExecutable, "exec: %q: permission denied", path)
	case err != nil:
		return fail(notFound, "exec: %q: %v", path, err)
	case info.IsDir():
		return fail(notExecutable, "exec: %q: is a directory", path)
	case !info.Mode().IsRegular() || syscall.Access(path, 1) != nil:
		return fail(notExecutable, "exec: %q: permission denied", path)
	}
	return nil
}

// Why a process did not start: the closed set that the daemon maps to Docker's exit codes.
const (
	notFound      = "not_found"
	notExecutable = "not_executable"
	badFormat     = "bad_format"
	badUser       = "bad_user"
	badCwd        = "bad_cwd"
	setup         = "setup"
)

// startError says why a process did not start.
type startError struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
}

func (e *startError) Error() string { return e.Message }

func fail(kind, format string, args ...any) *startError {
	return &startError{kind, fmt.Sprintf(format, args...)}
}
