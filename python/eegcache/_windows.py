"""The windows of a split: a sequence of views on mapped files, with an index that no sample was read for."""

from __future__ import annotations

import collections.abc
import operator
import typing

import numpy as np

from ._maps import File, Maps
from ._report import Report

#: The classes: no seizure sample, some, at least 99 %; and recordings of which nothing is known.
NONE, PARTIAL, FULL, UNLABELLED = 0, 1, 2, -1
_NO_SEARCH = "windows are asked for by their number: none is looked for by its samples"
_CLASS_NAMES = {NONE: "none", PARTIAL: "partial", FULL: "full", UNLABELLED: "unlabelled"}

#: A row of the index. `start`, `length` and `seizure` count samples, `recording` counts from 0 in `Windows.recordings`.
ROW = np.dtype(
    {
        "names": ["start", "recording", "window", "length", "seizure", "class"],
        "formats": ["u8", "u4", "u4", "u4", "u4", "i1"],
        "itemsize": 32,
    }
)


#: Bytes and content of a signal file, and of a labels file where there is one.
Promises = typing.Tuple[typing.Tuple[int, int], typing.Optional[typing.Tuple[int, int]]]


class Recording(typing.NamedTuple):
    """What windows need to know of a recording."""

    id: str
    subject: str
    split: str
    rate_hz: float
    samples: int
    signal: File
    labels: typing.Optional[File]

    @classmethod
    def of(cls, entry: Report, promises: Promises) -> Recording:
        """What a manifest's entry says, with what is promised of its files."""
        files = entry["files"]
        signal, labels = promises
        return cls(
            id=entry["id"],
            subject=entry["subject"],
            split=entry["split"],
            rate_hz=_rate(entry["rate_hz"]),
            samples=entry["samples"],
            signal=File(files["signal"]["name"], *signal),
            labels=None if labels is None else File(files["labels"]["name"], *labels),
        )


class Windows(collections.abc.Sequence):
    """The windows of a split in the order of recordings (by id), then of time.

    An item is channels × samples, z-scored as the recipe says. Of a float32 cache it is a read-only view of the mapped file;
    copy it before changing it. Pickling takes the index along, and no file.
    """

    def __init__(
        self,
        maps: Maps,
        entries: list[Report],
        promises: list[Promises],
        rows: bytes,
        split: str,
        dtype: typing.Any = None,
    ) -> None:
        #: The name of the split.
        self.split = split
        #: The type in which windows are handed out.
        self.dtype = np.dtype(np.float32 if dtype is None else dtype)
        if self.dtype.kind != "f":
            raise TypeError(f"windows are floating-point numbers, which {self.dtype} is not")
        used = [number for number, entry in enumerate(entries) if entry["split"] == split]
        #: The recordings of the split, also those too short for a window.
        self.recordings: list[Recording] = [Recording.of(entries[number], promises[number]) for number in used]
        #: One row a window, see `ROW`.
        self.index: np.ndarray = np.frombuffer(rows, ROW).copy()
        self.index["recording"] = np.searchsorted(np.asarray(used, "u4"), self.index["recording"])
        self.index.flags.writeable = False
        self._maps = maps
        self._prepare()

    def _prepare(self) -> None:
        """Columns whose items are plain numbers: they are looked up for every window."""
        column = {name: memoryview(np.ascontiguousarray(self.index[name])) for name in ROW.names}
        self._starts, self._lengths, self._owners = column["start"], column["length"], column["recording"]
        self._last: tuple[int, np.ndarray] = (-1, np.empty((0, 0), np.float32))

    def __getstate__(self) -> dict[str, typing.Any]:
        kept = ("split", "dtype", "recordings", "index", "_maps")
        return {name: self.__dict__[name] for name in kept}

    def __setstate__(self, state: dict[str, typing.Any]) -> None:
        self.__dict__.update(state)
        self._prepare()

    def select(self, which: typing.Any) -> Windows:
        """The windows that a mask or a list of numbers names, in that order."""
        chosen = Windows.__new__(Windows)
        index = self.index[which]
        index.flags.writeable = False
        chosen.__setstate__({**self.__getstate__(), "index": index})
        return chosen

    def __repr__(self) -> str:
        return f"<eegcache.Windows {self.split!r}: {len(self)} of {len(self.recordings)} recordings>"

    def __len__(self) -> int:
        return len(self._owners)

    @typing.overload
    def __getitem__(self, i: int) -> np.ndarray: ...
    @typing.overload
    def __getitem__(self, i: slice) -> list[np.ndarray]: ...
    def __getitem__(self, i):
        # Nearly always an `int`: this is all that it costs.
        if i.__class__ is not int:
            if isinstance(i, slice):
                return [self[one] for one in range(*i.indices(len(self)))]
            i = as_number(i)
        owner, start = self._owners[i], self._starts[i]
        # One tuple of two is read and written at once, whatever other threads do.
        last_owner, signal = self._last
        if owner != last_owner:
            signal = self._maps.get(self.recordings[owner].signal, "signal")
            self._last = (owner, signal)
        window = signal[:, start : start + self._lengths[i]]
        return window if window.dtype == self.dtype else window.astype(self.dtype)

    def __contains__(self, value: object) -> bool:
        raise TypeError(_NO_SEARCH)

    def count(self, value: object) -> int:
        """Refused, as `in` is: either would read every window."""
        raise TypeError(_NO_SEARCH)

    def _row(self, i: int) -> tuple[Recording, slice]:
        i = as_number(i)
        start = self._starts[i]
        return self.recordings[self._owners[i]], slice(start, start + self._lengths[i])

    def labels(self, i: int) -> np.ndarray | None:
        """The labels of window `i`, one 0 or 1 a sample, a view; nothing where the recording is unlabelled."""
        recording, span = self._row(i)
        return None if recording.labels is None else self._maps.get(recording.labels, "labels")[span]

    def microvolts(self, i: int) -> np.ndarray:
        """Window `i` in µV, float64: z · divisor + centre, right up to what was clipped."""
        recording, span = self._row(i)
        signal = self._maps.get(recording.signal, "signal")
        scale = self._maps.get(recording.signal, "scale")
        return signal[:, span].astype(np.float64) * scale[:, 1:] + scale[:, :1]

    def meta(self, i: int) -> dict[str, typing.Any]:
        """Where window `i` comes from and what is known of it."""
        recording, span = self._row(i)
        row = self.index[as_number(i)]
        return {
            "id": recording.id,
            "subject": recording.subject,
            "split": recording.split,
            "window": int(row["window"]),
            "start": span.start,
            "start_s": span.start / recording.rate_hz,
            "rate_hz": recording.rate_hz,
            "seizure_samples": int(row["seizure"]),
            "class": _CLASS_NAMES[int(row["class"])],
        }

    @property
    def classes(self) -> np.ndarray:
        """The class of every window: `NONE`, `PARTIAL`, `FULL`, or `UNLABELLED`."""
        return self.index["class"]

    @property
    def seizure_ratio(self) -> float:
        """The share of labelled windows with a seizure sample; NaN where there is no labelled window."""
        labelled = self.classes != UNLABELLED
        count = int(labelled.sum())
        return int((self.classes[labelled] != NONE).sum()) / count if count else float("nan")

    @property
    def pos_weight(self) -> float:
        """Samples without seizure per sample with, over all labelled windows: for losses on single samples."""
        labelled = self.index[self.classes != UNLABELLED]
        seizure = int(labelled["seizure"].sum(dtype=np.uint64))
        total = int(labelled["length"].sum(dtype=np.uint64))
        return (total - seizure) / seizure if seizure else float("inf")

    def frame(self):
        """The index as a pandas DataFrame, with ids and subjects; needs pandas."""
        import pandas

        frame = pandas.DataFrame({name: self.index[name] for name in ROW.names})
        ids = np.array([recording.id for recording in self.recordings], dtype=object)
        subjects = np.array([recording.subject for recording in self.recordings], dtype=object)
        frame.insert(0, "id", ids[self.index["recording"]] if len(self) else [])
        frame.insert(1, "subject", subjects[self.index["recording"]] if len(self) else [])
        return frame


def as_number(i: typing.Any) -> int:
    """The number of a window, whatever type of integer it is."""
    try:
        return operator.index(i)
    except TypeError:
        accepted = "its whole number (`Windows` takes slices, too, and `Windows.select` lists and masks)"
        raise TypeError(f"a window is asked for by {accepted}, not by {type(i).__name__}") from None


def _rate(rate: int | str) -> float:
    """A rate of the manifest: a whole number, or a fraction `a/b`."""
    numerator, _, denominator = str(rate).partition("/")
    return int(numerator) / int(denominator or 1)
