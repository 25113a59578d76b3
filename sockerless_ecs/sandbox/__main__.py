"""The embedded AWS as a process: says on stdout that it is ready, lives until its stdin ends.

The end of stdin is the end of whoever started it, however that one ended.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
from types import FrameType

import msgspec
import structlog

from sockerless_ecs.errors import SockerlessError
from sockerless_ecs.sandbox.cloud import cloud
from sockerless_ecs.sandbox.options import decode_options, encode_info
from sockerless_ecs.sandbox.state import state_folder

_PARENT_WATCH = 4096


def main() -> int:
    """Run until stdin ends or SIGTERM; 1 with a JSON line `{"error": …}` if it cannot start."""
    parser = argparse.ArgumentParser(prog="python -m sockerless_ecs.sandbox", description=__doc__)
    parser.add_argument("--options-json", default="{}", help="SandboxOptions as JSON")
    text = parser.parse_args().options_json
    answers = os.dup(1)
    os.dup2(2, 1)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    try:
        options = decode_options(text)
        with state_folder(options.state_dir) as state, cloud(options, state) as info:
            os.write(answers, encode_info(info))
            os.close(answers)
            while os.read(0, _PARENT_WATCH):
                pass
    except (SockerlessError, msgspec.DecodeError) as error:
        os.write(answers, json.dumps({"error": str(error)}).encode() + b"\n")
        return 1
    return 0


def _end(_number: int, _frame: FrameType | None) -> None:
    # Once is enough: the clean-up must not be interrupted.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
