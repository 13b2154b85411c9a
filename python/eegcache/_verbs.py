"""The verbs of the library as functions.

All take the same arguments about the configuration: `config` is a path, a list of paths (later files win) or
nothing, `profile` is `smoke`, `dev` or `full`, `set` maps keys to values as `--set` does, `env` stands in for the environment,
and `project` is the directory from which the project is looked for (default: the current one).
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import typing

from . import _native
from ._place import Config, Path, Place, text
from ._progress import Callback, Display
from ._report import Report

Set = typing.Optional[typing.Mapping[str, typing.Any]]
Env = typing.Optional[typing.Mapping[str, str]]


def resolve(
    config: Config = None,
    profile: str | None = None,
    *,
    cache_root: Path | None = None,
    set: Set = None,
    env: Env = None,
    project: Path | None = None,
) -> pathlib.Path:
    """The one resolved `data.cache_dir`; nothing on disk but the configuration is looked at."""
    place = Place.of(config, profile, cache_root=cache_root, set=set, env=env, project=project)
    return _native.resolve(place)


def preflight(
    config: Config = None,
    profile: str | None = None,
    *,
    progress: bool | Callback | None = None,
    cache_root: Path | None = None,
    set: Set = None,
    env: Env = None,
    project: Path | None = None,
) -> Report:
    """The check before training: a report, or the exception of the gate that is shut.

    Damage raises `DamagedError`, forbidden data `GateError`, everything that a build mends `NotReadyError`; the
    exception has the whole `report`. What other profiles hold is linked at once if nothing else is missing.
    """
    place = Place.of(config, profile, cache_root=cache_root, set=set, env=env, project=project)
    with Display(progress) as display:
        return Report.read(_native.preflight(place, display.observer))


def status(
    config: Config = None,
    profile: str | None = None,
    *,
    cache_root: Path | None = None,
    set: Set = None,
    env: Env = None,
    project: Path | None = None,
) -> Report:
    """The state of every profile, or of one."""
    place = Place.of(config, profile, cache_root=cache_root, set=set, env=env, project=project)
    return Report.read(_native.status(place))


def explain(
    id: str,
    config: Config = None,
    profile: str | None = None,
    *,
    cache_root: Path | None = None,
    set: Set = None,
    env: Env = None,
    project: Path | None = None,
) -> Report:
    """Why a recording is a hit, a miss or stale."""
    place = Place.of(config, profile, cache_root=cache_root, set=set, env=env, project=project)
    return Report.read(_native.explain(place, id))


def verify(
    config: Config = None,
    profile: str | None = None,
    *,
    quick: bool = False,
    repair: bool = False,
    progress: bool | Callback | None = None,
    cache_root: Path | None = None,
    set: Set = None,
    env: Env = None,
    project: Path | None = None,
) -> Report:
    """Hashes every file again (`quick`: sizes and structure); the report lists what is damaged or missing.

    `repair` moves what is damaged aside, so that `build` makes it again.
    """
    if quick and repair:
        raise ValueError("`repair` hashes every file: it cannot be `quick`")
    place = Place.of(config, profile, cache_root=cache_root, set=set, env=env, project=project)
    with Display(progress) as display:
        return Report.read(_native.verify(place, quick, repair, display.observer))


@dataclasses.dataclass(frozen=True)
class _BuildArgs:
    jobs: int
    retry_failed: bool
    wait: bool
    memory: str | None


def build(
    config: Config = None,
    profile: str | None = None,
    *,
    jobs: int | None = None,
    dry_run: bool = False,
    retry_failed: bool = False,
    wait: bool = True,
    memory: int | str | None = None,
    progress: bool | Callback | None = None,
    cache_root: Path | None = None,
    set: Set = None,
    env: Env = None,
    project: Path | None = None,
) -> Report:
    """Links, relabels and builds what a profile is missing; with `dry_run` returns the plan instead.

    `memory` bounds what the recordings in work need together, as bytes or `"4G"`; by default four fifths of what is available.
    `progress` is a function that hears a `Progress` a few times a second in this thread, `False` for
    silence, and by default a bar or lines on stderr. Ctrl-C raises `Interrupted`, which is a `KeyboardInterrupt`:
    the recordings in hand are finished, and everything that is finished is kept.
    """
    if jobs is not None and jobs < 1:
        raise ValueError(f"`jobs` is {jobs}: at least one thread has to work")
    place = Place.of(config, profile, cache_root=cache_root, set=set, env=env, project=project)
    limit = None if memory is None else str(memory)
    args = _BuildArgs(jobs=jobs or 0, retry_failed=retry_failed, wait=wait, memory=limit)
    if dry_run:
        return Report.read(_native.dry_run(place, args))
    with Display(progress) as display:
        return Report.read(_native.build(place, args, display.observer))


def export(
    layout: str,
    directory: Path,
    config: Config = None,
    profile: str | None = None,
    *,
    jobs: int | None = None,
    progress: bool | Callback | None = None,
    cache_root: Path | None = None,
    set: Set = None,
    env: Env = None,
    project: Path | None = None,
) -> Report:
    """Writes the windows of a ready profile as the files of other programs: `windows`, `npy` or `brain-brr`.

    Run again, it goes on where it was interrupted. `directory` is taken from the current directory if it is relative.
    """
    if jobs is not None and jobs < 1:
        raise ValueError(f"`jobs` is {jobs}: at least one thread has to work")
    place = Place.of(config, profile, cache_root=cache_root, set=set, env=env, project=project)
    absolute = text(os.path.abspath(directory))
    with Display(progress) as display:
        return Report.read(_native.export(place, layout, absolute, jobs or 0, display.observer))


@dataclasses.dataclass(frozen=True)
class _AdoptArgs:
    directory: str
    sample: int
    dry_run: bool
    jobs: int


def adopt(
    directory: Path,
    config: Config = None,
    profile: str | None = None,
    *,
    sample: int = 8,
    dry_run: bool = False,
    jobs: int | None = None,
    progress: bool | Callback | None = None,
    cache_root: Path | None = None,
    set: Set = None,
    env: Env = None,
    project: Path | None = None,
) -> Report:
    """Says what another program's cache of windows is worth, and builds what of the profile it proves.

    `sample` recordings are made again from their sources; what is the same to the last bit is proved. Each of
    `report.recordings` has a `verdict` (`proved`, `consistent`, `wrong`, `refused`) and its `findings`. `dry_run` only
    looks. What is found to be wrong is in the report, and no exception.
    """
    if jobs is not None and jobs < 1:
        raise ValueError(f"`jobs` is {jobs}: at least one thread has to work")
    if sample < 0:
        raise ValueError(f"`sample` is {sample}: it cannot be less than 0")
    place = Place.of(config, profile, cache_root=cache_root, set=set, env=env, project=project)
    args = _AdoptArgs(text(os.path.abspath(directory)), sample, dry_run, jobs or 0)
    with Display(progress) as display:
        return Report.read(_native.adopt(place, args, display.observer))
