"""Reports: dictionaries whose keys are attributes as well."""

from __future__ import annotations

import json
import typing


class Report(dict):
    """What a verb found: `report["state"]` and `report.state` are the same.

    The fields are those of the command's `--json`, but for `schema`: the package's version says what a report has.
    """

    def __getattr__(self, name: str) -> typing.Any:
        try:
            return self[name]
        except KeyError:
            known = ", ".join(sorted(map(str, self)))
            raise AttributeError(f"the report has no `{name}`; it has {known}") from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *map(str, self)]

    @classmethod
    def read(cls, text: str) -> Report:
        """The report that a JSON text holds."""
        return json.loads(text, object_hook=cls)
