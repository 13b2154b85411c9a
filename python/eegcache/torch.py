"""For PyTorch: a map-style dataset of windows, and samplers that read no signal."""

from __future__ import annotations

import typing

import numpy as np
import torch
import torch.utils.data

from . import sampling
from ._cache import Cache
from ._place import Config, Path, refuse_useless
from ._served import Served
from ._verbs import Env, Set
from ._windows import UNLABELLED, Windows, as_number
from .errors import GateError

__all__ = ["BalancedSampler", "SequenceSampler", "WindowDataset"]

Item = typing.Tuple[torch.Tensor, torch.Tensor, typing.Dict[str, typing.Any]]


class WindowDataset(torch.utils.data.Dataset):
    """The windows of a split as `(x, y, meta)`.

    `x` is channels × samples in float32; `y` one label a sample in float32, 0 or 1, NaN where nothing is known; `meta` says where
    the window comes from. Windows of unlabelled recordings are left out unless `unlabelled` is true.

    It opens a complete, matching, sane cache or raises what pre-flight raises. It never links and never builds, in no worker and in no rank.
    Where no window is left to serve it raises `GateError`. Where a `Cache` is passed, nothing else about the configuration may be.
    """

    def __init__(
        self,
        config: Config | Cache = None,
        split: str = "train",
        profile: str | None = None,
        *,
        length_s: float | str | None = None,
        stride_s: float | str | None = None,
        unlabelled: bool = False,
        transform: typing.Callable[[torch.Tensor], torch.Tensor] | None = None,
        cache_root: Path | None = None,
        set: Set = None,
        env: Env = None,
        project: Path | None = None,
    ) -> None:
        if isinstance(config, Cache):
            cache = config
            refuse_useless(
                "an opened cache is passed",
                profile=profile, cache_root=cache_root, set=set, env=env, project=project,
            )
        else:
            cache = Cache.open(
                config, profile, cache_root=cache_root, set=set, env=env, project=project
            )
        #: The version that is read; in another process nothing but its directory is known.
        self.cache: Cache | None = cache
        #: `data.cache_dir`.
        self.cache_dir = str(cache.directory)
        #: The windows, in the order of this dataset.
        self.windows: Windows = cache.windows(split, length_s, stride_s)
        if len(self.windows) == 0:
            raise cache._without_windows(self.windows, length_s)
        if not unlabelled:
            self.windows = _labelled(self.windows)
        self.transform = transform
        self._served = Served()

    def __getstate__(self) -> dict[str, typing.Any]:
        return {**self.__dict__, "cache": None}

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, i: int) -> Item:
        item = self._item(i)
        self._served.add(1)
        return item

    def __getitems__(self, numbers: typing.Sequence[int]) -> list[Item]:
        """A batch, read in the order of files and handed out in the order that was asked for."""
        items: list[Item | None] = [None] * len(numbers)
        for place in sorted(range(len(numbers)), key=numbers.__getitem__):
            items[place] = self._item(numbers[place])
        self._served.add(len(numbers))
        return typing.cast("list[Item]", items)

    def _item(self, i: int) -> Item:
        i = as_number(i)
        # Copied: a tensor may be written to, a finished file may not.
        x = torch.from_numpy(np.array(self.windows[i]))
        labels = self.windows.labels(i)
        if labels is None:
            y = torch.full((x.shape[1],), float("nan"))
        else:
            y = torch.from_numpy(labels.astype(np.float32))
        if self.transform is not None:
            x = self.transform(x)
        return x, y, self.windows.meta(i)

    def served(self) -> dict[int, int]:
        """How many windows were handed out, by process id: those of workers are counted as well."""
        return self._served.read()


def _labelled(windows: Windows) -> Windows:
    labelled = windows.select(windows.classes != UNLABELLED)
    if len(labelled) == 0:
        message = f"all {len(windows)} windows of `{windows.split}` are unlabelled"
        raise GateError(message, "pass `unlabelled=True` to have them with unknown labels")
    return labelled


class BalancedSampler(torch.utils.data.Sampler):
    """A balanced choice of windows in the order of `brain_brr`; see `eegcache.sampling.balanced`.

    Every epoch has the same windows. Until `set_epoch` is called they come in the same order, too.
    """

    def __init__(
        self,
        dataset: WindowDataset,
        seed: int = 42,
        full_ratio: float = 0.3,
        none_ratio: float = 2.5,
    ) -> None:
        #: The numbers of the chosen windows, in the order of epoch 0.
        self.order: np.ndarray = sampling.balanced(dataset.windows, seed, full_ratio, none_ratio)
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Shuffles the choice anew for every epoch but 0."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> typing.Iterator[int]:
        order = self.order
        if self._epoch:
            order = np.random.default_rng([self._seed, self._epoch]).permutation(order)
        return iter(order.tolist())


class SequenceSampler(torch.utils.data.Sampler):
    """A batch sampler: each batch is `length` consecutive windows of one recording, in order of time, none across a gap.

    With `shuffle` the sequences come in another order every epoch (`set_epoch`), each whole.
    """

    def __init__(
        self,
        dataset: WindowDataset,
        length: int,
        shuffle: bool = False,
        seed: int = 42,
        drop_last: bool = False,
    ) -> None:
        self._sequences = sampling.sequences(dataset.windows, length, drop_last)
        self._shuffle = shuffle
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Chooses the order of an epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._sequences)

    def __iter__(self) -> typing.Iterator[list[int]]:
        order: typing.Iterable[int] = range(len(self._sequences))
        if self._shuffle:
            rng = np.random.default_rng([self._seed, self._epoch])
            order = rng.permutation(len(self._sequences)).tolist()
        return (list(self._sequences[number]) for number in order)
