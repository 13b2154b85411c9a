"""Where a configuration comes from: files, flags, environment and directory."""

from __future__ import annotations

import dataclasses
import json
import os
import typing

import numpy as np

from .errors import ConfigError

Path = typing.Union[str, "os.PathLike[str]"]
Config = typing.Union[None, Path, typing.Sequence[Path]]


@dataclasses.dataclass(frozen=True)
class Place:
    """What the command line says about the configuration."""

    configs: list[str]
    profile: str | None
    cache_root: str | None
    set: list[str]
    env: dict[str, str]
    project: str

    @classmethod
    def of(
        cls,
        config: Config,
        profile: str | None = None,
        *,
        cache_root: Path | None = None,
        set: typing.Mapping[str, typing.Any] | None = None,
        env: typing.Mapping[str, str] | None = None,
        project: Path | None = None,
    ) -> Place:
        around = os.environ if env is None else env
        return cls(
            configs=_files(config),
            profile=profile,
            cache_root=None if cache_root is None else text(cache_root),
            set=[f"{key}={_yaml(key, value)}" for key, value in (set or {}).items()],
            env={name: value for name, value in around.items() if _is_text(name + value)},
            project=text(os.path.abspath(os.getcwd() if project is None else project)),
        )


def _is_text(value: str) -> bool:
    """False for what the environment holds and is no UTF-8: as on the command line, it is no configuration."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _files(config: Config) -> list[str]:
    if config is None:
        return []
    if isinstance(config, (str, os.PathLike)):
        return [text(config)]
    return [text(file) for file in config]


def text(path: Path) -> str:
    """A path as text: configurations and reports, which are UTF-8, must be able to name it."""
    path = os.fspath(path)
    if not _is_text(path):
        raise ConfigError(f"the path {path!a} is no UTF-8", "rename it, or make a link of another name to it")
    return path


def refuse_useless(where: str, **given: typing.Any) -> None:
    """Raises `TypeError` for arguments that mean nothing there."""
    useless = [name for name, value in given.items() if value is not None]
    if useless:
        raise TypeError(f"`{'`, `'.join(useless)}` means nothing where {where}")


def _yaml(key: str, value: typing.Any) -> str:
    """A value as `--set` takes it: text as it is, everything else as JSON, which is YAML."""
    if isinstance(value, (str, os.PathLike)):
        return text(value)
    try:
        return json.dumps(value, default=_plain)
    except TypeError as error:
        raise TypeError(f"`set`: `{key}` is no value that YAML has: {error}") from None


def _plain(value: typing.Any) -> typing.Any:
    """What JSON does not know, as something that it does."""
    if isinstance(value, np.ndarray):
        return list(value) if value.ndim else value[()]
    if isinstance(value, np.floating):
        # The decimal that was meant: a single-precision 0.1 is a tenth.
        return float(str(value))
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, os.PathLike):
        return text(value)
    raise TypeError(f"{type(value).__name__} is none")
