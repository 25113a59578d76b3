"""Both ends of the agent protocol: the agent's source (`go/`), and the daemon's client of it.

The agent is PID 1 of a task's main container, serves HTTP/1.1 over mutual TLS 1.3 and owns the
process. It accepts one client key, pinned by its SHA-256; it proves to be the task we launched by
`proof` in `/health`: an HMAC of its certificate under the task's token. Nothing else is said before.

========================  ==========================================================================
`GET /health`             status, protocol and agent version, task ARN, live run, proof
`POST /start`             a `StartRequest` → pid, seq and time of the started event; 422 says why not,
                          409 that another run lives. The same run id again gets the same outcome. Runs
                          follow each other in one task; its file system stays
`GET /events?after=N`     upgrade, then JSON lines: started, exited (code, oom), drained (lines), exec_exited
                          (exec, code)… `seq` never repeats within a task
`POST /ack?seq=N`         the events up to N are safe: an exit that is lets the task end after its
                          linger time; one that is not keeps it for 15 minutes
`GET /logs?run=…`         upgrade, then one record a line: number u64, time in ns u64, Docker's frame
                          header (stream u8, 3 zero bytes, length u32), the line with its newline
`POST /attach?run=…`      upgrade; the run's output from byte `after` (or `now`) on, as frames or a
                          terminal's raw bytes; a run that is not known yet is waited for.
                          `Sockerless-Position` says where it begins. What an attached client has not
                          been sent is not overwritten: the process is held back
`POST /exec`              an `ExecRequest` → upgrade (`Sockerless-Pid`), or with `detach` an `ExecState`;
                          409 that the run does not live or is paused, 422 why it did not start
`GET /exec/{id}`          `ExecState`; what ended is remembered for a while
`POST /resize`            {run or exec, rows, columns} → 409 when there is no live terminal
`POST /signal`            {run or exec, signal} → 409 when it does not live
`POST /pause`, `/unpause` {run} → every process but the agent stops, goes on
`PUT /names`              `/etc/hosts`, rewritten in place
`GET /stat?path=P`        name, size, Go's file mode, mtime, link target of a path (`files`)
`GET /archive?path=P`     upgrade; a tar, and the path's stat in the head's `Sockerless-Stat`
`PUT /archive?path=P&…`   upgrade; a tar in input frames → one JSON line, `{}` or a refusal, perhaps early
`GET /export`             upgrade; a tar of the root file system, what is mounted in it left out
`GET /changes`            upgrade; JSON lines: paths whose ctime is not before the agent's start
`GET /top`, `GET /stats`  processes; counters of the cgroup or summed up (`sights`)
`POST /quit`              end at once, the process included
========================  ==========================================================================

Refusals are `{"kind", "message"}`. A stream ends with close_notify; without it, it was cut. Input travels in
Docker's frames of stream 0; the empty one is its end, and nothing else is. Lines are
numbered from 1 in the order in which they end; the same numbers hold for `/logs` and for the copy in
CloudWatch Logs (`awslogs`). A line of 16,371 bytes or more is cut into pieces that are numbered by
themselves; only their last has the newline.
"""

from sockerless_ecs.agent import files, sights
from sockerless_ecs.agent.awslogs import AwslogsParser, FinalRecord
from sockerless_ecs.agent.client import AgentClient
from sockerless_ecs.agent.identity import client_context
from sockerless_ecs.agent.image import AgentImage, ImageTarget, agent_image, publish
from sockerless_ecs.agent.protocol import (
    AgentEvent,
    AgentLost,
    AgentUnreachable,
    ExecRequest,
    ExecState,
    Health,
    HealthCheck,
    Names,
    Started,
    StartRefused,
    StartRequest,
    WrongAgent,
)
from sockerless_ecs.agent.streams import AgentStreams

__all__ = [
    "AgentClient",
    "AgentEvent",
    "AgentImage",
    "AgentLost",
    "AgentStreams",
    "AgentUnreachable",
    "AwslogsParser",
    "ExecRequest",
    "ExecState",
    "FinalRecord",
    "Health",
    "HealthCheck",
    "ImageTarget",
    "Names",
    "StartRefused",
    "StartRequest",
    "Started",
    "WrongAgent",
    "agent_image",
    "client_context",
    "files",
    "publish",
    "sights",
]
