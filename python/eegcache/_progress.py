"""How far the work is: a tqdm bar in a terminal or notebook, plain lines elsewhere, always on stderr."""

from __future__ import annotations

import sys
import time
import typing

_LINE_EVERY_S = 5.0


class Progress(typing.NamedTuple):
    """How far a build or another long verb is, in `items` (recordings, or files of the cache); `message` is something to hear now."""

    what: str
    done: int
    total: int
    bytes: int
    total_bytes: int
    linked: int
    message: str | None
    items: str = "recordings"


Callback = typing.Callable[[Progress], typing.Any]
Observer = typing.Callable[[str, int, int, int, int, int, "list[str]", str], None]


class Display:
    """Hears about a verb for as long as it is entered; `observer` is what the native module calls."""

    def __init__(self, progress: bool | Callback | None) -> None:
        self.observer: Observer | None
        self._bar: typing.Any = None
        self._what = ""
        self._next_line = 0.0
        if callable(progress):
            self._callback = progress
            self.observer = self._call
        elif progress is False:
            self.observer = None
        else:
            tqdm = _tqdm()
            self._tqdm = tqdm
            self.observer = self._lines if tqdm is None else self._bars

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def _call(self, what, done, total, bytes, total_bytes, linked, messages, items) -> None:
        for message in messages or [None]:
            self._callback(Progress(what, done, total, bytes, total_bytes, linked, message, items))

    def _bars(self, what, done, total, bytes, total_bytes, linked, messages, items) -> None:
        for message in messages:
            self._tqdm.write(message, file=sys.stderr)
        if what != self._what:
            if self._bar is not None:
                self._bar.close()
            self._what = what
            self._bar = self._tqdm(total=total, desc=what, unit=items.removesuffix("s")) if total else None
        if self._bar is not None:
            self._bar.update(done - self._bar.n)

    def _lines(self, what, done, total, bytes, total_bytes, linked, messages, items) -> None:
        for message in messages:
            print(message, file=sys.stderr, flush=True)
        now = time.monotonic()
        if what != self._what:
            self._what, self._next_line = what, now + _LINE_EVERY_S
        is_last = done == total and done > 0
        if total and (is_last or now >= self._next_line):
            self._next_line = now + _LINE_EVERY_S
            mebibytes = f", {bytes / 2**20:.1f} of {total_bytes / 2**20:.1f} MiB" if total_bytes else ""
            print(f"{what}: {done}/{total} {items}{mebibytes}", file=sys.stderr, flush=True)


def _tqdm() -> typing.Any:
    """The class of bars, where one can be seen and tqdm is there."""
    in_notebook = "ipykernel" in sys.modules
    if not in_notebook and not (sys.stderr is not None and sys.stderr.isatty()):
        return None
    try:
        if in_notebook:
            from tqdm.auto import tqdm
        else:
            from tqdm import tqdm
    except ImportError:
        return None
    return tqdm
