"""Both ends of the agent protocol: the agent's source (`go/`), and the daemon's client of it.

The agent is PID 1 of a task's main container, serves HTTP/1.1 over mutual TLS 1.3 and owns the
process. It accepts one client key, pinned by its SHA-256; it proves to be the task we launched by
`proof` in `/health`: an HMAC of its certificate under the task's token. Nothing else is said before.

========================  ==========================================================================
`GET /health`             status, protocol and agent version, task ARN, live run, proof
`POST /start`             a `StartRequest` → pid, seq and time of the started event; 422 says why not,
                          409 that another run lives. The same run id again gets the same outcome. Runs
                          follow each other in one task; its file system stays
`GET /events?after=N`     upgrade, then JSON lines: started, exited (code, oom), drained (lines). `seq`
                          never repeats within a task
`POST /ack?seq=N`         the events up to N are safe: an exit that is lets the task end after its
                          linger time; one that is not keeps it for 15 minutes
`GET /logs?run=…`         upgrade, then one record a line: number u64, time in ns u64, Docker's frame
                          header (stream u8, 3 zero bytes, length u32), the line with its newline
`POST /signal`            {run, signal} → 409 when it does not live
`PUT /names`              `/etc/hosts`, rewritten in place
`POST /quit`              end at once, the process included
========================  ==========================================================================

Refusals are `{"kind", "message"}`. A stream ends with close_notify; without it, it was cut. Lines are
numbered from 1 in the order in which they end; the same numbers hold for `/logs` and for the copy in
CloudWatch Logs (`awslogs`). A line of 16,371 bytes or more is cut into pieces that are numbered by
themselves; only their last has the newline.
"""

from sockerless_ecs.agent import files
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
]
