"""A version of a cache, for reading."""

from __future__ import annotations

import bisect
import difflib
import functools
import json
import os
import pathlib
import typing

from . import _native
from ._maps import Maps
from ._place import Config, Path, Place, refuse_useless, text
from ._report import Report
from ._verbs import Env, Set
from ._windows import Promises, Recording, Windows
from .errors import ConfigError, GateError, NotReadyError


class Cache:
    """A complete version, read-only; it is held against `gc` for as long as this object or windows of it live."""

    def __init__(self, version: _native.Version) -> None:
        self._version = version
        found = Report.read(version.describe())
        self.directory = pathlib.Path(found.cache_dir)
        self.profile: str = found.profile
        self.version: str = found.version
        self.warnings: list[str] = found.warnings
        #: The configured windowing; nothing where a directory was opened.
        self._windowing: Report | None = found.windows
        # In the order to which the rows of windows refer.
        self._entries: list[Report] = found.entries
        self._promises: list[Promises] = version.promises()
        self._maps = Maps(str(self.directory), version)

    @classmethod
    def open(
        cls,
        config: Config = None,
        profile: str | None = None,
        *,
        cache_root: Path | None = None,
        set: Set = None,
        env: Env = None,
        project: Path | None = None,
    ) -> Cache:
        """Opens what a configuration means, or the directory of a version.

        A configuration demands everything that pre-flight does and raises what it raises, but nothing is linked or built. A
        directory (`EEGCACHE_DIR`) is judged by its own manifest; the lengths of windows must be named then.
        """
        if isinstance(config, (str, os.PathLike)) and _is_directory(config, project):
            refuse_useless(
                "a directory is opened",
                profile=profile, cache_root=cache_root, set=set, env=env, project=project,
            )
            text(os.path.realpath(config))
            return cls(_native.Version.open_directory(text(config)))
        place = Place.of(config, profile, cache_root=cache_root, set=set, env=env, project=project)
        return cls(_native.Version.open(place))

    def __repr__(self) -> str:
        return f"<eegcache.Cache {str(self.directory)!r}: {len(self._entries)} recordings>"

    @functools.cached_property
    def manifest(self) -> dict[str, typing.Any]:
        """The manifest, as it lies on disk."""
        return json.loads((self.directory / "manifest.json").read_text(encoding="utf-8"))

    @functools.cached_property
    def recordings(self) -> dict[str, Report]:
        """The manifest's entry of every finished recording that is demanded, by id."""
        return {entry["id"]: entry for entry in self._entries}

    @functools.cached_property
    def _promised(self) -> dict[str, Promises]:
        return {entry["id"]: promises for entry, promises in zip(self._entries, self._promises)}

    def _recording(self, id: str) -> Recording:
        entry = self.recordings.get(id)
        if entry is None:
            raise self._unknown(str(id))
        return Recording.of(entry, self._promised[id])

    def _unknown(self, id: str) -> ConfigError:
        ids = list(self.recordings)
        # Sorted, so what has the same beginning is near: to compare with all of a large dataset takes seconds.
        place = bisect.bisect(ids, id)
        near = difflib.get_close_matches(id, ids[max(place - 8, 0) : place + 8], 1)
        hint = f"did you mean `{near[0]}`?" if near else "`recordings` has the ids; `eegcache explain` knows of the others"
        return ConfigError(f"there is no recording `{id}` in `{self.directory}`", hint)

    @property
    def splits(self) -> dict[str, list[str]]:
        """The ids of the recordings of each split."""
        splits: dict[str, list[str]] = {}
        for entry in self._entries:
            splits.setdefault(entry["split"], []).append(entry["id"])
        return splits

    def signal(self, id: str):
        """The whole signal of a recording, channels × samples, mapped and read-only."""
        return self._maps.get(self._recording(id).signal, "signal")

    def labels(self, id: str):
        """The labels of a recording, one 0 or 1 a sample, mapped; nothing where it is unlabelled."""
        labels = self._recording(id).labels
        return None if labels is None else self._maps.get(labels, "labels")

    def _without_windows(self, windows: Windows, length_s: float | str | None) -> GateError:
        """Why a split that was opened has no window."""
        split = windows.split
        if not windows.recordings:
            message = f"there is no recording of `{split}` in `{self.directory}`"
            return GateError(message, "`eegcache status` tells what became of them")
        length = float(length_s if length_s is not None else self._windowing.length_s)
        longest = max(recording.samples / recording.rate_hz for recording in windows.recordings)
        if longest < length:
            why = f"the longest recording has {longest:g} s"
        else:
            why = "each would touch a gap"
        return GateError(f"no window of {length:g} s in `{split}`: {why}", "choose a shorter `length_s`")

    def windows(
        self,
        split: str,
        length_s: float | str | None = None,
        stride_s: float | str | None = None,
        dtype: typing.Any = None,
    ) -> Windows:
        """The windows of a split, by default of the configured length and stride: any others are as free.

        A split that was not opened (`data.splits`) is an error; one that has no window is an empty sequence.
        `dtype` is what windows are handed out in, float32 by default; one that is stored is not copied.
        """
        rows = self._version.windows(split, _seconds(length_s), _seconds(stride_s))
        return Windows(self._maps, self._entries, self._promises, rows, split, dtype)


def _is_directory(config: Path, project: Path | None) -> bool:
    """True for a directory, false for a configuration; `NotReadyError` for what is not there and is not called like one."""
    if os.path.isdir(config):
        return True
    if os.fspath(config).endswith((".yaml", ".yml")) or os.path.exists(os.path.join(project or "", config)):
        return False
    raise NotReadyError(
        f"NOT_FOUND: there is no directory {os.fspath(config)!a}",
        "run `eegcache build`, or name the directory that `eegcache preflight` prints, or a configuration, a `.yaml` file",
    )


def _seconds(value: float | str | None) -> str | None:
    """A time as the exact decimal that was meant: 0.1 is a tenth."""
    return None if value is None else str(value)
