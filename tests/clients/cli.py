"""The docker command as a test wants it."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.clients.engines import IMAGE, Target

_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    code: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        """Standard output, without its last newline."""
        return self.out.decode().rstrip("\n")


@dataclass(frozen=True, slots=True)
class DockerCli:
    """The docker command on one engine."""

    program: str
    engine: Target

    def __call__(self, *words: str, stdin: bytes | None = None, code: int = 0) -> Done:
        """Run it to its end, which must be `code`."""
        done = self.try_(*words, stdin=stdin)
        assert done.code == code, f"docker {' '.join(words)}: {done}"
        return done

    def try_(self, *words: str, stdin: bytes | None = None) -> Done:
        """Run it to its end, whatever that is."""
        done = subprocess.run(
            [self.program, *words],
            env=self.engine.environment,
            input=stdin or b"",
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def run(
        self, *words: str, options: Sequence[str] = (), stdin: bytes | None = None, code: int = 0
    ) -> Done:
        """`docker run` of the tests' program."""
        return self("run", *self.places(options), IMAGE, "/bin/program", *words, stdin=stdin, code=code)

    def create(self, *words: str, options: Sequence[str] = ()) -> str:
        """`docker create` of the tests' program; the id."""
        return self("create", *self.places(options), IMAGE, "/bin/program", *words).text

    def start(self, *words: str, options: Sequence[str] = ()) -> str:
        """`docker run -d` of the tests' program; the id."""
        return self.run(*words, options=["-d", *options]).text

    def places(self, options: Sequence[str]) -> list[str]:
        """Options, with the network that works on this engine."""
        return [*options, *(["--network", self.engine.network] if not self.engine.is_ours else [])]

    def inspect(self, template: str, *names: str) -> str:
        """`docker inspect --format`."""
        return self("inspect", "--format", template, *names).text

    @contextmanager
    def running(self, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        """A command that goes on while the context lasts; pipes at all three ends."""
        process = subprocess.Popen(
            [self.program, *words],
            env=self.engine.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        with process:
            try:
                yield process
            finally:
                process.kill()

    @contextmanager
    def terminal(self, *words: str, rows: int = 24, columns: int = 80) -> Iterator[Terminal]:
        """A command on a terminal of its own."""
        parent, child = pty.openpty()
        _resize(child, rows, columns)
        process = subprocess.Popen(
            [self.program, *words],
            env={**self.engine.environment, "TERM": "xterm"},
            stdin=child,
            stdout=child,
            stderr=child,
            start_new_session=True,
            preexec_fn=_take_terminal,  # noqa: PLW1509 (no threads fork here)
        )
        terminal = Terminal(process, parent)
        try:
            yield terminal
        finally:
            process.kill()
            process.wait()
            os.close(child)  # not before: what was written last could be lost with the last close
            os.close(parent)


class Terminal:
    """The other end of a command's terminal."""

    def __init__(self, process: subprocess.Popen[bytes], parent: int) -> None:
        self.process = process
        self._parent = parent
        self.seen = b""
        os.set_blocking(parent, False)

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._parent, keys)

    def resize(self, rows: int, columns: int) -> None:
        """Another size; the command gets SIGWINCH."""
        _resize(self._parent, rows, columns)

    def expect(self, text: bytes) -> None:
        """Wait until this was shown."""
        deadline = time.monotonic() + _SECONDS
        while text not in self.seen:
            assert time.monotonic() < deadline, f"{text!r} was not shown: {self.seen!r}"
            try:
                self.seen += os.read(self._parent, 1 << 16)
            except BlockingIOError:
                time.sleep(0.01)
            except OSError:  # the command is gone
                assert text in self.seen, f"{text!r} was not shown before the end: {self.seen!r}"

    def wait(self) -> int:
        """The command's exit code."""
        deadline = time.monotonic() + _SECONDS
        while self._read() or (self.process.poll() is None and time.monotonic() < deadline):
            pass
        for _ in range(10):  # the kernel passes it on in its own time
            self._read()
        return self.process.wait(1)

    def _read(self) -> bool:
        """Whether something more was shown."""
        try:
            data = os.read(self._parent, 1 << 16)
        except OSError:  # nothing now, or the command is gone
            time.sleep(0.01)
            return False
        self.seen += data
        return bool(data)


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _resize(terminal: int, rows: int, columns: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def write_file(folder: Path, name: str, content: bytes) -> Path:
    """A file to be copied."""
    path = folder / name
    path.write_bytes(content)
    return path
