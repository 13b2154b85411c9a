"""Arrays of cache files, mapped into memory: a bounded number at once, opened by whoever reads first.

Nothing of it survives pickling: another process maps the files again, and never inherits a descriptor it does not use.
"""

from __future__ import annotations

import collections
import mmap
import os
import threading
import typing
import weakref

import numpy as np

from . import _native

# An epoch in random order touches every page of what is mapped: few maps keep resident memory flat.
KEPT = 16


class Maps:
    """The arrays `signal` and `labels` of the recordings of one version."""

    def __init__(self, directory: str, kept: int = KEPT) -> None:
        self.directory = directory
        self.kept = kept
        self._open()

    def _open(self) -> None:
        _EVERY.add(self)
        self._places: dict[tuple[str, str], tuple[str, tuple[int, ...], int]] = {}
        self._arrays: collections.OrderedDict[tuple[str, str], np.ndarray] = collections.OrderedDict()
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, typing.Any]:
        return {"directory": self.directory, "kept": self.kept}

    def __setstate__(self, state: dict[str, typing.Any]) -> None:
        self.directory, self.kept = state["directory"], state["kept"]
        self._open()

    def __len__(self) -> int:
        """The arrays that are mapped now."""
        return len(self._arrays)

    def get(self, name: str, array: str) -> np.ndarray:
        """The array `array` of the file `name`, read-only."""
        key = (name, array)
        with self._lock:
            found = self._arrays.get(key)
            if found is not None:
                self._arrays.move_to_end(key)
                return found
            found = self._arrays[key] = self._map(key)
            if len(self._arrays) > self.kept:
                self._arrays.popitem(last=False)
            return found

    def _map(self, key: tuple[str, str]) -> np.ndarray:
        dtype, shape, offset = self._place(key)
        if 0 in shape:
            return np.empty(shape, dtype)
        with open(os.path.join(self.directory, key[0]), "rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        # Raises rather than reads behind the end, should the file be another one now.
        return np.ndarray(shape, dtype, mapped, offset)

    def _place(self, key: tuple[str, str]) -> tuple[str, tuple[int, ...], int]:
        place = self._places.get(key)
        if place is None:
            dtype, shape, offset = _native.locate(self.directory, *key)
            place = self._places[key] = (dtype, tuple(shape), offset)
        return place


# A forked process reads through maps and locks of its own.
_EVERY: weakref.WeakSet[Maps] = weakref.WeakSet()
os.register_at_fork(after_in_child=lambda: [maps._open() for maps in list(_EVERY)])
