// sockerless-agent owns one container's process inside a Fargate task.
//
// Without arguments it serves the daemon over mutual TLS, starts the process through a shim of
// itself, reaps every child, keeps the output and copies it to the log driver. As PID 1 it is
// the container's init.
package main

import (
	"fmt"
	"os"
	"runtime"
)

// version is the wheel's; the build sets it.
var version = "0.0.0"

const protocolVersion = 1

func init() { runtime.LockOSThread() } // the shim's credentials are per thread

func main() {
	if os.Args[0] == shimName {
		runShim() // does not return
	}
	runtime.UnlockOSThread()
	os.Exit(command(os.Args[1:]))
}

func command(args []string) int {
	switch {
	case len(args) == 0:
		return serve()
	case len(args) == 1 && args[0] == "version":
		fmt.Printf("sockerless-agent %s (protocol %d)\n", version, protocolVersion)
		return 0
	case len(args) == 2 && args[0] == "install":
		if err := install(args[1]); err != nil {
			fmt.Fprintf(os.Stderr, "sockerless-agent: install: %v\n", err)
			return 1
		}
		return 0
	}
	fmt.Fprintln(os.Stderr, "usage: sockerless-agent [version | install DEST]")
	return 2
}

func serve() int {
	settings, err := readSettings(os.Getenv)
	if err != nil {
		fmt.Printf("%s%v\n", agentMark, err)
		return 125
	}
	return newAgent(settings).serve()
}
