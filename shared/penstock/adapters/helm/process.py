"""One process with a bound on its time and on what it prints; nothing of this process is inherited by it."""

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_CHUNK = 1 << 16
_PAUSE = 0.002


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """How a process ended: its exit status and what it printed."""

    status: int
    out: bytes
    err: str


class TooLong(Exception):
    """It took longer than allowed, and was killed."""


class TooMuch(Exception):
    """It printed more than allowed, and was killed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """``seconds`` of one process, ``output``: bytes of each of its two streams."""

    seconds: float = 120.0
    output: int = 64 * 1024 * 1024


def run(
    command: Sequence[str], environment: Mapping[str, str], bounds: Bounds, descriptors: Sequence[int] = ()
) -> Finished:
    """Run it to its end. ``descriptors``: those that it may read. Raises TooLong, TooMuch, OSError, ValueError."""
    process = subprocess.Popen(  # noqa: S603 - no shell; whoever calls vouches for the command
        command,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=tuple(descriptors),
        start_new_session=True,
    )
    with process:
        try:
            out, err = _read(process, bounds)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)  # with all that it started; not waited for yet, so the id is its own
            raise
    return Finished(status=process.returncode, out=out, err=err.decode(errors="replace"))


def _read(process: subprocess.Popen[bytes], bounds: Bounds) -> tuple[bytes, bytes]:
    assert process.stdout is not None
    assert process.stderr is not None
    found: dict[IO[bytes], bytearray] = {process.stdout: bytearray(), process.stderr: bytearray()}
    end = time.monotonic() + bounds.seconds
    with selectors.DefaultSelector() as selector:
        for stream in found:
            selector.register(stream, selectors.EVENT_READ, stream)
        while selector.get_map():
            ready = selector.select(end - time.monotonic())
            if not ready and time.monotonic() >= end:
                raise TooLong
            for key, _ in ready:
                data = os.read(key.fd, _CHUNK)
                if not data:
                    selector.unregister(key.fileobj)
                    continue
                found[key.data] += data
                if len(found[key.data]) > bounds.output:
                    raise TooMuch
    while process.poll() is None:  # both streams are closed: it is about to end
        if time.monotonic() >= end:
            raise TooLong
        time.sleep(_PAUSE)
    return bytes(found[process.stdout]), bytes(found[process.stderr])


@contextmanager
def handed_over(documents: Sequence[bytes], directory: str) -> Iterator[tuple[list[str], list[int]]]:
    """Paths at which another process reads these texts, and the descriptors that it needs for that.

    In memory where the system can (Linux): what may be secret is never on a disk. Elsewhere private files in
    ``directory``, removed at the end.
    """
    with ExitStack() as stack:
        paths, descriptors = [], []
        for number, data in enumerate(documents):
            if sys.platform == "linux":
                descriptor = os.memfd_create("values")
                stack.callback(os.close, descriptor)
                _write(descriptor, data)
                paths.append(f"/proc/self/fd/{descriptor}")
                descriptors.append(descriptor)
                continue
            path = Path(directory, f"values-{number}.yaml")
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            stack.callback(path.unlink)
            try:
                _write(descriptor, data)
            finally:
                os.close(descriptor)
            paths.append(str(path))
        yield paths, descriptors


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
