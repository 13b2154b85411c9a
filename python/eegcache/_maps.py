"""Arrays of cache files, mapped into memory: a bounded number at once, opened by whoever reads first.

A file is compared with what was listed when the version was opened, and again whenever another file may have its name.
Nothing of it survives pickling: another process maps the files again, and never inherits what it does not use.
"""

from __future__ import annotations

import collections
import os
import threading
import typing
import weakref

import numpy as np

from . import _native
from .errors import NotReadyError

# An epoch in random order touches every page of what is mapped: few maps keep resident memory flat.
KEPT = 16


class File(typing.NamedTuple):
    """A finished file, and what was listed of it when the version was opened."""

    name: str
    bytes: int
    content: int


class Maps:
    """The arrays `signal` and `labels` of the recordings of one version.

    `held` is what keeps `gc` from removing the version: it lives as long as anything that reads.
    """

    def __init__(self, directory: str, held: _native.Version | None = None, kept: int = KEPT) -> None:
        self.directory = directory
        self.kept = kept
        self._held = held
        self._found: dict[str, _native.Found] = {}
        self._open()
        _EVERY.add(self)

    def _open(self) -> None:
        self._arrays: collections.OrderedDict[tuple[str, str], np.ndarray] = collections.OrderedDict()
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, typing.Any]:
        return {"directory": self.directory, "kept": self.kept}

    def __setstate__(self, state: dict[str, typing.Any]) -> None:
        self.__init__(state["directory"], kept=state["kept"])

    def __deepcopy__(self, memo: dict[int, typing.Any]) -> Maps:
        """A copy in the same process holds the version as well."""
        return Maps(self.directory, self._held, self.kept)

    def __len__(self) -> int:
        """The arrays that are mapped now."""
        return len(self._arrays)

    def get(self, file: File, array: str) -> np.ndarray:
        """The array `array` of a file, read-only. Raises `NotReadyError` where the file is not what was listed."""
        key = (file.name, array)
        with self._lock:
            found = self._arrays.get(key)
            if found is not None:
                self._arrays.move_to_end(key)
                return found
            found = self._arrays[key] = np.asarray(self._map(file, array))
            if len(self._arrays) > self.kept:
                self._arrays.popitem(last=False)
            return found

    def _map(self, file: File, array: str) -> _native.Mapped:
        known = self._found.get(file.name)
        mapped = None if known is None else known.map(array)
        if mapped is None:
            found = self._found[file.name] = _native.find(self.directory, *file)
            mapped = found.map(array)
        if mapped is None:
            message = f"the cache changed since it was opened: `{file.name}` is being replaced"
            raise NotReadyError(message, "open the cache again")
        return mapped


# A forked process reads through maps and locks of its own.
_EVERY: weakref.WeakSet[Maps] = weakref.WeakSet()
os.register_at_fork(after_in_child=lambda: [maps._open() for maps in list(_EVERY)])
