package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestPathIsMeantFromTheRootAndKeepsItsEnd(t *testing.T) {
	for named, meant := range map[string]string{
		"/a/b": "/a/b", "a/b": "/a/b", "a/b/": "/a/b/", "/a/.": "/a/.", "/a/./": "/a/./", "/": "/", "": "/.",
		".": "/.", "/.": "/.", "../../x": "/x", "/a/../b//c": "/b/c", "//": "/",
	} {
		if got := absolute(named); got != meant {
			t.Errorf("%q: got %q, not %q", named, got, meant)
		}
	}
}

func TestLinksAreFollowedAsFarAsThereIsSomething(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	os.MkdirAll(root+"/d/e", 0o755)
	os.Symlink("d/e", root+"/relative")
	os.Symlink(root+"/relative/missing", root+"/dangling")
	os.Symlink("../..", root+"/d/e/up")
	os.Symlink("loop", root+"/loop")
	for path, want := range map[string]string{
		"/relative": "/d/e", "/relative/x": "/d/e/x", "/dangling": "/d/e/missing", "/d/e/up": "", "/none/x": "/none/x",
	} {
		if got, err := followLinks(root + path); err != nil || got != root+want {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
	if _, err := followLinks(root + "/loop/x"); err == nil {
		t.Error("a circle has no end")
	}
}

func TestWhatIsWithinAFolder(t *testing.T) {
	if !within("/a", "/a") || !within("/a", "/a/b") || within("/a", "/ab") || !within("/", "/a") || within("/a", "/") {
		t.Error("within")
	}
}

func TestNamesAreQuotedSoThatTheyArriveAsTheyAre(t *testing.T) {
	for name, want := range map[string]string{
		"plain": `"plain"`, "a\"\\\n": `"a\u0022\u005c\u000a"`, "\xff☃": `"\udcff☃"`,
	} {
		if got := quote(name); got != want {
			t.Errorf("%q: got %s", name, got)
		}
	}
}

func TestHealthFollowsDockersRules(t *testing.T) {
	check := &healthCheck{Interval: int64(time.Minute), StartInterval: int64(time.Second),
		StartPeriod: int64(10 * time.Second), Retries: 2}
	good, bad := probeResult{}, probeResult{ExitCode: 1}
	early, late := time.Second, time.Minute
	for _, c := range []struct {
		name    string
		probes  []probeResult
		when    time.Duration
		status  string
		streak  int
		waiting time.Duration
	}{
		{"failures in the start period do not count", []probeResult{bad, bad, bad}, early, healthStarting, 0, time.Second},
		{"they do once it was healthy", []probeResult{good, bad, bad}, early, healthUnhealthy, 2, time.Minute},
		{"one failure is none", []probeResult{good, bad}, late, healthHealthy, 1, time.Minute},
		{"as many as retries are one", []probeResult{bad, bad}, late, healthUnhealthy, 2, time.Minute},
		{"one success mends it", []probeResult{bad, bad, bad, good}, late, healthHealthy, 0, time.Minute},
	} {
		h := healthState{Status: healthStarting}
		for _, result := range c.probes {
			h = h.after(result, c.when, check)
		}
		if h.Status != c.status || h.FailingStreak != c.streak || check.pause(h.Status, c.when) != c.waiting {
			t.Errorf("%s: %+v", c.name, h)
		}
	}
}

func TestOnlyTheNewestFiveProbesAreKept(t *testing.T) {
	h := healthState{Status: healthStarting}
	for code := range 8 {
		h = h.after(probeResult{ExitCode: code}, time.Hour, &healthCheck{Retries: 3})
	}
	if len(h.Log) != 5 || h.Log[0].ExitCode != 3 || h.Log[4].ExitCode != 7 {
		t.Errorf("%+v", h.Log)
	}
}

func TestOnlyTheNewestHealthEventIsKept(t *testing.T) {
	l := newEventLog()
	l.add(event{Type: "started", Run: "r"})
	l.add(event{Type: "health", Run: "r"})
	before, _ := l.after(0)
	l.add(event{Type: "exec_exited", Run: "r"})
	l.add(event{Type: "health", Run: "r"})
	now, _ := l.after(0)
	if len(before) != 2 || before[1].Seq != 2 || len(now) != 3 || now[1].Seq != 3 || now[2].Seq != 4 {
		t.Errorf("%+v, %+v", before, now)
	}
	if late := l.health("r"); len(late) != 1 || late[0].Seq != 4 || len(l.health("other")) != 0 {
		t.Errorf("%+v", late)
	}
}

func TestProcessIsReadWhateverItsName(t *testing.T) {
	stat := "42 (a) b (c) S 7 42 42 34817 42 4194560 1 0 0 0 150 50 10 5 20 3 2 0 1000 8192000 25 18446744073709551615" +
		strings.Repeat(" 0", 20)
	p, ok := parseProcess(42, stat)
	if !ok || p.Command != "a) b (c" || p.Ppid != 7 || p.TTY != "pts/1" || p.Nice != 3 || p.threads != 2 {
		t.Errorf("%+v", p)
	}
	if p.CPU != 2e9 || p.userTicks != 160 || p.systemTicks != 55 || p.VszKiB != 8000 {
		t.Errorf("%+v", p)
	}
	if _, ok := parseProcess(1, "1 (x"); ok {
		t.Error("half of it is none")
	}
}

func TestNetworksAreCountedWithoutTheLoopback(t *testing.T) {
	found := networkUsage(`Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0
  eth0:1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0
`)
	if len(found) != 1 || found["eth0"] != (interfaceUsage{1, 2, 3, 4, 5, 6, 7, 8}) {
		t.Errorf("%+v", found)
	}
}

func write(t *testing.T, root string, files map[string]string) {
	for name, content := range files {
		os.MkdirAll(filepath.Dir(root+name), 0o755)
		if err := os.WriteFile(root+name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCgroupOfVersion2IsRead(t *testing.T) {
	root := t.TempDir()
	write(t, root, map[string]string{
		"/ecs/task/cgroup.procs": "1\n7\n", "/ecs/task/memory.current": "1000\n", "/ecs/task/memory.max": "max\n",
		"/ecs/task/memory.stat": "anon 5\nfile 6\n", "/ecs/task/pids.current": "3\n", "/ecs/task/pids.max": "10\n",
		"/ecs/task/cpu.stat": "usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_periods 4\nnr_throttled 2\nthrottled_usec 7\n",
		"/ecs/task/io.stat":  "8:0 rbytes=1 wbytes=2 rios=9\n8:16 rbytes=10 wbytes=20\n",
	})
	group := findCgroup(root, "0::/ecs/task\n")
	u := usage{}
	group.fillV2(&u)
	if group.version != 2 || u.CPUTotal != 30000 || u.Throttled != 7000 || u.Memory != 1000 || u.MemoryMax != -1 ||
		u.MemoryStats["file"] != 6 || u.Pids != 3 || u.PidsLimit != 10 || u.BlockRead != 11 || u.BlockWrite != 22 {
		t.Errorf("%+v", u)
	}
	write(t, root, map[string]string{"/ecs/task/cgroup.procs": "0\n1\n"})
	if findCgroup(root, "0::/ecs/task\n").version != 0 {
		t.Error("a group with strangers is not ours")
	}
}

func TestCgroupOfVersion1IsRead(t *testing.T) {
	root := t.TempDir()
	write(t, root, map[string]string{
		"/memory/t/cgroup.procs": "1\n", "/memory/t/memory.usage_in_bytes": "70\n", "/memory/t/memory.stat": "cache 8\n",
		"/memory/t/memory.limit_in_bytes": "9223372036854771712\n", "/memory/t/memory.max_usage_in_bytes": "90\n",
		"/cpu,cpuacct/t/cgroup.procs": "1\n", "/cpu,cpuacct/t/cpuacct.usage": "5\n",
		"/cpu,cpuacct/t/cpuacct.stat": "user 1\nsystem 2\n", "/cpu,cpuacct/t/cpu.stat": "nr_throttled 6\nthrottled_time 8\n",
		"/blkio/t/cgroup.procs":                    "1\n",
		"/blkio/t/blkio.throttle.io_service_bytes": "8:0 Read 3\n8:0 Write 4\n8:0 Total 7\nTotal 7\n",
		"/pids/release_agent":                      "", "/pids/cgroup.procs": "1\n",
	})
	group := findCgroup(root, "4:memory:/t\n3:cpu,cpuacct:/t\n2:blkio:/t\n1:pids:/t\n")
	u := usage{}
	group.fillV1(&u)
	if group.version != 1 || u.CPUTotal != 5 || u.CPUSystem != 2e7 || u.ThrottledPeriods != 6 || u.Throttled != 8 ||
		u.Memory != 70 || u.MemoryMax != 90 || u.MemoryStats["cache"] != 8 || u.BlockRead != 3 || u.BlockWrite != 4 ||
		u.Pids != -1 {
		t.Errorf("%+v", u)
	}
	write(t, root, map[string]string{"/memory/release_agent": "", "/memory/cgroup.procs": "1\n"})
	if findCgroup(root, "4:memory:/\n3:cpu,cpuacct:/t\n").version != 0 {
		t.Error("the machine's root group is nobody's")
	}
}

func TestMountsAreKnownByTheirUnescapedNames(t *testing.T) {
	if unescape(`/a\040b\134`) != `/a b\` {
		t.Error(unescape(`/a\040b\134`))
	}
	m := mounts{"/": "overlay", "/proc": "proc", "/data": "nfs4", "/dev": "tmpfs", "/proc/real": "ext4"}
	if !m.isKernels("/proc") || !m.isKernels("/dev") || m.isKernels("/data") || m.isKernels("/etc") {
		t.Error("isKernels")
	}
	if !m.inKernels("/proc/1/x") || m.inKernels("/proc") || m.inKernels("/data/x") || m.inKernels("/proc/real/x") {
		t.Error("inKernels")
	}
}

func TestWhatIsMountedOrMadeForEveryContainerIsNotOfItsImage(t *testing.T) {
	m := mounts{"/": "overlay", "/proc": "proc", "/data": "nfs4", "/etc/hosts": "ext4"}
	for path, want := range map[string]bool{
		"/": true, "/etc": true, "/etc/passwd": true, "/database": true, "/a/etc/hosts": true, "/etc/hosts.allow": true,
		"/data": false, "/data/x/y": false, "/proc/1": false, "/etc/hosts": false, "/dev/null": false, "/.dockerenv": false,
		"relative": false, "": false,
	} {
		if m.inImage(path) != want {
			t.Errorf("%q", path)
		}
	}
}
