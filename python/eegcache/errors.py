"""One exception a kind of error; `eegcache.Error` catches them all.

What is wrong with a call itself is `TypeError`, `ValueError` or `IndexError`, as everywhere in Python.
"""

from __future__ import annotations

import typing

from . import _native
from ._report import Report


class Error(Exception):
    """What stopped a command.

    `kind` names it, `exit_code` is that of the command line, `hint` says what to do next. Where a gate of
    pre-flight is shut, `gate` is its name and `report` the whole report.
    """

    kind: typing.ClassVar[str] = ""
    exit_code: typing.ClassVar[int] = 1

    def __init__(
        self,
        message: str,
        hint: str | None = None,
        gate: str | None = None,
        report: Report | None = None,
    ) -> None:
        super().__init__(message, hint, gate, report)
        self.message = message
        self.hint = hint
        self.gate = gate
        self.report = report

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\nhint: {self.hint}"


class ConfigError(Error):
    """The configuration or an argument is wrong."""

    kind = "config"


class IoError(Error):
    """The machine said no: permission, I/O, descriptors."""

    kind = "io"


class NoSpaceError(Error):
    """There is not enough space for what is to be built."""

    kind = "no-space"


class BusyError(Error):
    """Another build holds the version."""

    kind = "busy"


class DamagedError(Error):
    """The cache is damaged."""

    kind = "damaged"


class GateError(Error):
    """The data itself forbids training: labels, leakage, channels."""

    kind = "gate"


class NotReadyError(Error):
    """The cache is not ready: not found, incomplete, stale, another version's."""

    kind = "not-ready"


class Interrupted(Error, KeyboardInterrupt):
    """Ctrl-C; what was finished is kept."""

    kind = "interrupted"


_KINDS: dict[str, type[Error]] = {kind.kind: kind for kind in Error.__subclasses__()}
for _kind, _code in _native.error_kinds():
    _KINDS[_kind].exit_code = _code


def _of_kind(
    kind: str, message: str, hint: str | None, gate: str | None, report: str | None
) -> Error:
    """The exception of a kind; called by the native module."""
    return _KINDS[kind](message, hint, gate, None if report is None else Report.read(report))
