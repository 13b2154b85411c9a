"""How many windows were handed out, by process: a file a process, so that no two ever write the same number."""

from __future__ import annotations

import mmap
import os
import pathlib
import shutil
import tempfile
import threading
import weakref

_NUMBER = 8


class Served:
    """A counter that workers share, however they were started; it can be read while they run and when they are gone."""

    def __init__(self) -> None:
        directory = tempfile.mkdtemp(prefix="eegcache-served-")
        self._directory = directory
        self._prepare()
        # Whoever made it removes it; a worker that ends must not.
        weakref.finalize(self, _remove, directory, os.getpid())

    def _prepare(self) -> None:
        self._pid = -1
        self._number: memoryview | None = None
        self._lock = threading.Lock()

    def __getstate__(self) -> str:
        return self._directory

    def __setstate__(self, directory: str) -> None:
        self._directory = directory
        self._prepare()

    def add(self, windows: int) -> None:
        """Counts for the process that calls."""
        pid = os.getpid()
        if pid != self._pid:
            # A forked process has inherited the number of another one, and maybe a lock that nobody opens.
            self._lock = threading.Lock()
            self._number = _open(pathlib.Path(self._directory), pid)
            self._pid = pid
        with self._lock:
            self._number[0] += windows

    def read(self) -> dict[int, int]:
        """Windows by process id."""
        counts = {}
        for path in pathlib.Path(self._directory).glob("[0-9]*"):
            counts[int(path.name)] = int.from_bytes(path.read_bytes(), "little")
        return dict(sorted(counts.items()))


def _open(directory: pathlib.Path, pid: int) -> memoryview:
    with open(directory / str(pid), "a+b") as file:
        if os.fstat(file.fileno()).st_size == 0:
            file.truncate(_NUMBER)
        return memoryview(mmap.mmap(file.fileno(), _NUMBER)).cast("Q")


def _remove(directory: str, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(directory, ignore_errors=True)
