"""Where a configuration comes from: files, flags, environment and directory."""

from __future__ import annotations

import dataclasses
import json
import os
import typing

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
            cache_root=None if cache_root is None else os.fspath(cache_root),
            set=[f"{key}={_yaml(value)}" for key, value in (set or {}).items()],
            env={name: value for name, value in around.items() if _is_text(name + value)},
            project=os.path.abspath(os.getcwd() if project is None else project),
        )


def _is_text(value: str) -> bool:
    """False for what the environment holds and is no UTF-8: as on the command line, it is no configuration."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _files(config: Config) -> list[str]:
    if config is None:
        return []
    if isinstance(config, (str, os.PathLike)):
        return [os.fspath(config)]
    return [os.fspath(file) for file in config]


def _yaml(value: typing.Any) -> str:
    """A value as `--set` takes it: text as it is, everything else as JSON, which is YAML."""
    return os.fspath(value) if isinstance(value, (str, os.PathLike)) else json.dumps(value)
