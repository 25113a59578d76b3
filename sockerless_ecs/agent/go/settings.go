package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// settings are the agent's own, from SOCKERLESS_* variables that the process never sees.
type settings struct {
	token        []byte // proves to the daemon that we are the task it launched
	clientPin    []byte // SHA-256 of the only public key that may talk to us
	listen       string
	spoolDir     string
	spoolBytes   int64
	startTimeout time.Duration
	hostsFile    string
	metadataURI  string
}

func readSettings(env func(string) string) (settings, error) {
	s := settings{
		listen:      or(env("SOCKERLESS_LISTEN"), ":9111"),
		spoolDir:    or(env("SOCKERLESS_SPOOL_DIR"), beside("spool")),
		hostsFile:   filepath.Join(or(env("SOCKERLESS_ETC"), "/etc"), "hosts"),
		metadataURI: env("ECS_CONTAINER_METADATA_URI_V4"),
	}
	var err error
	if s.token, err = digest(env, "SOCKERLESS_AGENT_TOKEN"); err != nil {
		return s, err
	}
	if s.clientPin, err = digest(env, "SOCKERLESS_CLIENT_KEY_SHA256"); err != nil {
		return s, err
	}
	if s.spoolBytes, err = number(env, "SOCKERLESS_SPOOL_BYTES", 64<<20); err != nil {
		return s, err
	}
	if s.spoolBytes < 4*(maxPayload+recordHead) {
		return s, fmt.Errorf("SOCKERLESS_SPOOL_BYTES must be at least %d", 4*(maxPayload+recordHead))
	}
	seconds, err := number(env, "SOCKERLESS_START_TIMEOUT_SECONDS", 300)
	s.startTimeout = time.Duration(seconds) * time.Second
	return s, err
}

// beside is a path next to this binary: on the task's own volume, wherever that is.
func beside(name string) string {
	self, err := os.Executable()
	if err != nil {
		self = "/.sockerless/agent"
	}
	return filepath.Join(filepath.Dir(self), name)
}

func digest(env func(string) string, key string) ([]byte, error) {
	value, err := hex.DecodeString(env(key))
	if err != nil || len(value) != sha256.Size {
		return nil, fmt.Errorf("%s must be %d hexadecimal digits", key, 2*sha256.Size)
	}
	return value, nil
}

func number(env func(string) string, key string, fallback int64) (int64, error) {
	text := env(key)
	if text == "" {
		return fallback, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("%s must be a positive number, not %q", key, text)
	}
	return n, nil
}

func or(value, fallback string) string {
	if value != "" {
		return value
	}
	return fallback
}
