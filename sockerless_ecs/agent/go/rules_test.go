package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
)

func file(t *testing.T, folder, name, content string) string {
	t.Helper()
	path := filepath.Join(folder, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestUsersAreLookedUpAsDockerDoes(t *testing.T) {
	folder := t.TempDir()
	a := accounts{
		passwd: file(t, folder, "passwd", "root:x:0:0::/root:/bin/sh\nann:x:1000:100::/home/ann:/bin/sh\n#x\nbad\n"),
		group:  file(t, folder, "group", "root:x:0:\nusers:x:100:\nvideo:x:44:ann,bob\naudio:x:29:bob\n"),
	}
	for _, c := range []struct {
		user   string
		added  []string
		uid    int
		gid    int
		groups []int
		home   string
	}{
		{"", nil, 0, 0, []int{0}, "/root"},
		{"ann", nil, 1000, 100, []int{44, 100}, "/home/ann"},
		{"1000", nil, 1000, 100, []int{44, 100}, "/home/ann"},
		{"ann:video", nil, 1000, 44, []int{44}, "/home/ann"},
		{"ann:", nil, 1000, 100, []int{44, 100}, "/home/ann"},
		{"ann", []string{"audio", "77"}, 1000, 100, []int{29, 44, 77, 100}, "/home/ann"},
		{"4321", nil, 4321, 0, []int{0}, "/"},
		{"4321:5", nil, 4321, 5, []int{5}, "/"},
	} {
		id, err := a.lookUp(c.user, c.added)
		if err != nil || id.uid != c.uid || id.gid != c.gid || id.home != c.home || !reflect.DeepEqual(id.groups, c.groups) {
			t.Errorf("%q: %+v, %v", c.user, id, err)
		}
	}
	for _, c := range []struct{ user, message string }{
		{"ghost", "unable to find user ghost: no matching entries in passwd file"},
		{"-5", "unable to find user -5: no matching entries in passwd file"},
		{"ann:ghosts", "unable to find group ghosts: no matching entries in group file"},
	} {
		if _, err := a.lookUp(c.user, nil); err == nil || err.Error() != c.message {
			t.Errorf("%q: %v", c.user, err)
		}
	}
	if id, err := (accounts{"/none", "/none"}).lookUp("0:7", nil); err != nil || id.gid != 7 {
		t.Errorf("without files: %+v, %v", id, err)
	}
}

func TestSignals(t *testing.T) {
	for text, want := range map[string]syscall.Signal{
		"SIGTERM": 15, "term": 15, "15": 15, "RTMIN": 34, "SIGRTMIN+3": 37, "RTMAX-14": 50, "sigrtmax": 64, "64": 64,
	} {
		if got, err := parseSignal(text); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "0", "65", "-1", "SIGNOT", "RTMIN+31", "RTMAX-31", "SIGSIGTERM"} {
		if got, err := parseSignal(text); err == nil {
			t.Errorf("%q is %d", text, got)
		}
	}
}

func TestEnvironment(t *testing.T) {
	own := []string{"PATH=/agent", "AWS_REGION=r", "ECS_X=y", "SOCKERLESS_AGENT_TOKEN=secret", "OTHER=1"}
	got := environment(own, spec{Env: []string{"A=1", "AWS_REGION=mine", "A=2", "ECS_X"}, Hostname: "box"})
	want := []string{"PATH=" + defaultPath, "HOSTNAME=box", "AWS_REGION=mine", "A=2"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q", got)
	}
}

func TestCapabilityNames(t *testing.T) {
	got, err := capabilityNumbers([]string{"NET_RAW", "cap_chown"})
	if err != nil || fmt.Sprint(got) != "[13 0]" {
		t.Errorf("%v, %v", got, err)
	}
	if all, _ := capabilityNumbers([]string{"ALL"}); len(all) != 41 {
		t.Errorf("ALL is %d", len(all))
	}
	if _, err := capabilityNumbers([]string{"NONE"}); err == nil {
		t.Error("NONE is no capability")
	}
}

func TestOOMCounterIsFoundInBothCgroupVersions(t *testing.T) {
	for name, c := range map[string]struct{ group, file, content string }{
		"v2, own namespace": {"0::/\n", "memory.events", "low 0\noom 4\noom_kill 3\noom_group_kill 0\n"},
		"v2, machine's":     {"0::/a/b\n", "a/b/memory.events", "oom_kill 3\n"},
		"v1, machine's":     {"5:cpu,cpuacct:/x\n4:memory:/a\n0::/\n", "memory/a/memory.oom_control", "under_oom 0\noom_kill 3\n"},
		"v1, mounted below": {"4:memory:/elsewhere\n", "memory/memory.oom_control", "oom_kill 3\n"},
	} {
		root := t.TempDir()
		file(t, root, c.file, c.content)
		own := file(t, t.TempDir(), "cgroup", c.group)
		if kills := newOOMCounter(root, own).kills(); kills != 3 {
			t.Errorf("%s: %d", name, kills)
		}
	}
	if newOOMCounter("/none", "/none").kills() != 0 {
		t.Error("no cgroup is no out of memory")
	}
}

func TestCommandsAreLookedUpAsDockerDoes(t *testing.T) {
	folder := t.TempDir()
	file(t, folder, "one/plain", "")
	file(t, folder, "two/plain", "")
	os.Chmod(filepath.Join(folder, "two/plain"), 0o755)
	path := "::" + filepath.Join(folder, "one") + ":" + filepath.Join(folder, "two")
	if found, failure := lookUpCommand("plain", path); failure != nil || !strings.HasSuffix(found, "two/plain") {
		t.Errorf("%s, %v", found, failure)
	}
	for name, kind := range map[string]string{
		"none": notFound, folder: notExecutable, folder + "/one/plain": notExecutable, folder + "/none": notFound,
	} {
		if _, failure := lookUpCommand(name, path); failure == nil || failure.Kind != kind {
			t.Errorf("%s: %v", name, failure)
		}
	}
}

func TestEventsAreNumberedAndAcknowledged(t *testing.T) {
	l := newEventLog()
	_, changed := l.after(0)
	for want := uint64(1); want <= 3; want++ {
		if got := l.add(event{Type: "started"}); got != want {
			t.Errorf("seq %d", got)
		}
	}
	<-changed
	if events, _ := l.after(2); len(events) != 1 || events[0].Seq != 3 {
		t.Errorf("%v", events)
	}
	if events, _ := l.after(99); len(events) != 0 {
		t.Errorf("%v", events)
	}
	l.ack(2)
	l.ack(1)
	if !l.isAcked(2) || l.isAcked(3) {
		t.Error("acknowledgements go forward")
	}
}
