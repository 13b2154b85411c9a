"""How many windows were handed out, by process: a file a process, so that no two ever write the same number.

It is a statistic, and never stands in the way: where the files cannot be had, a process counts for itself.
"""

from __future__ import annotations

import mmap
import multiprocessing.util
import os
import pathlib
import shutil
import sys
import tempfile
import threading
import typing
import weakref

_NUMBER = 8


class Served:
    """A counter that workers share, however they were started; it can be read while they run and when they are gone."""

    def __init__(self) -> None:
        #: Nothing where no directory could be made.
        self._directory: str | None = None
        try:
            self._directory = tempfile.mkdtemp(prefix="eegcache-served-")
        except OSError:
            pass
        else:
            # Unlike those of `weakref`, it also runs where a process of `multiprocessing` ends. Whoever made the directory
            # removes it, a worker that ends must not; behind the workers that are waited for, therefore a priority below 0.
            multiprocessing.util.Finalize(self, _remove, (self._directory, os.getpid()), exitpriority=-100)
        self._begin()

    def _begin(self) -> None:
        """A forked process has inherited the number of another one, and maybe a lock that nobody opens."""
        self._number: memoryview | None = None
        self._lock = threading.Lock()
        _EVERY.add(self)

    def __getstate__(self) -> dict[str, typing.Any]:
        return {"directory": self._directory}

    def __setstate__(self, state: dict[str, typing.Any]) -> None:
        self._directory = state["directory"]
        self._begin()

    def __deepcopy__(self, memo: dict[int, typing.Any]) -> Served:
        """A copy counts for itself: what it was copied from may be gone before it."""
        return Served()

    def add(self, windows: int) -> None:
        """Counts for the process that calls."""
        with self._lock:
            if self._number is None:
                self._number = self._open()
            self._number[0] += windows

    def _open(self) -> memoryview:
        try:
            return _shared(self._directory)
        except OSError:
            # The directory went with the dataset that was pickled, or the disk is full.
            return memoryview(bytearray(_NUMBER)).cast("Q")

    def read(self) -> dict[int, int]:
        """Windows by process id."""
        counts = {} if self._directory is None else _read(pathlib.Path(self._directory))
        if self._number is not None:
            counts[os.getpid()] = self._number[0]
        return dict(sorted(counts.items()))


def _shared(directory: str | None) -> memoryview:
    if directory is None:
        raise FileNotFoundError("no directory to count in")
    with open(os.path.join(directory, str(os.getpid())), "a+b") as file:
        # Written and not only made longer: where a disk is full, a map of what was never written ends the process.
        if os.fstat(file.fileno()).st_size < _NUMBER:
            file.write(bytes(_NUMBER))
            file.flush()
        return memoryview(mmap.mmap(file.fileno(), _NUMBER)).cast("Q")


def _read(directory: pathlib.Path) -> dict[int, int]:
    counts = {}
    for path in directory.glob("[0-9]*"):
        try:
            counts[int(path.name)] = int.from_bytes(path.read_bytes()[:_NUMBER], sys.byteorder)
        except OSError:
            continue
    return counts


def _remove(directory: str, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(directory, ignore_errors=True)


_EVERY: weakref.WeakSet[Served] = weakref.WeakSet()
os.register_at_fork(after_in_child=lambda: [served._begin() for served in list(_EVERY)])
