"""Where a configuration comes from: files, flags, environment and directory."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import typing

Path = typing.Union[str, "os.PathLike[str]"]
Config = typing.Union[None, Path, typing.Sequence[Path]]

# Words that YAML reads as something else than text are quoted; so is whatever is no plain word.
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_NO_TEXT = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


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
        return cls(
            configs=_files(config),
            profile=profile,
            cache_root=None if cache_root is None else os.fspath(cache_root),
            set=[f"{key}={_yaml(value)}" for key, value in (set or {}).items()],
            env=dict(os.environ if env is None else env),
            project=os.path.abspath(os.getcwd() if project is None else project),
        )


def _files(config: Config) -> list[str]:
    if config is None:
        return []
    if isinstance(config, (str, os.PathLike)):
        return [os.fspath(config)]
    return [os.fspath(file) for file in config]


def _yaml(value: typing.Any) -> str:
    """A value as YAML; JSON is YAML."""
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _NO_TEXT:
        return value
    return json.dumps(value)
