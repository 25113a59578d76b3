package main

import (
	"io"
	"os"
	"path/filepath"
)

// install copies this binary to dest in one step: nobody ever sees half of it. It is what the
// task's init container does, whose image has nothing but the binary.
func install(dest string) error {
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer self.Close()
	if err := os.MkdirAll(filepath.Dir(dest), 0o755); err != nil {
		return err
	}
	copied, err := os.CreateTemp(filepath.Dir(dest), ".sockerless-agent-*")
	if err != nil {
		return err
	}
	defer os.Remove(copied.Name()) // fails once it has been renamed
	if _, err = io.Copy(copied, self); err == nil {
		err = copied.Chmod(0o755)
	}
	if closing := copied.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	return os.Rename(copied.Name(), dest)
}
