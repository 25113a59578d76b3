package main

import "syscall"

// Numbers of linux/prctl.h, linux/fcntl.h, asm/ioctls.h and linux/capability.h that package syscall lacks.
const (
	prSetDumpable       = 4
	prCapbsetDrop       = 24
	prSetChildSubreaper = 36
	prSetNoNewPrivs     = 38
	fSetPipeSize        = 1031
	tiocGetPeer         = 0x5441
	capabilityVersion3  = 0x20080522
)

func prctl(option, arg uintptr) error {
	if _, _, e := syscall.RawSyscall6(syscall.SYS_PRCTL, option, arg, 0, 0, 0, 0); e != 0 {
		return e
	}
	return nil
}
