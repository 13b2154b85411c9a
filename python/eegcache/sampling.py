"""Which windows to train on, chosen by class alone: no signal is read."""

from __future__ import annotations

import numpy as np

from ._windows import FULL, NONE, PARTIAL, Windows


def balanced(
    windows: Windows, seed: int = 42, full_ratio: float = 0.3, none_ratio: float = 2.5
) -> np.ndarray:
    """The numbers of a balanced choice of windows, shuffled.

    All windows with some seizure; `full_ratio` times as many, drawn without replacement, of those that are all seizure; `none_ratio`
    times as many without any. With the default arguments this is, to the order, the choice of `brain_brr`.
    """
    classes = windows.classes
    by_name = _by_file_name(windows)
    partial, full, none = (by_name[classes[by_name] == wanted] for wanted in (PARTIAL, FULL, NONE))
    if len(partial) == 0:
        raise ValueError(
            f"no window of `{windows.split}` holds seizure and background both: nothing to balance by"
        )
    rng = np.random.default_rng(seed)
    chosen = [partial]
    for candidates, ratio in ((full, full_ratio), (none, none_ratio)):
        count = min(int(ratio * len(partial)), len(candidates))
        if count > 0:
            chosen.append(candidates[rng.choice(len(candidates), count, replace=False)])
    order = np.concatenate(chosen)
    rng.shuffle(order)
    return order


def _by_file_name(windows: Windows) -> np.ndarray:
    """All windows by the names of the files that `brain_brr` keeps, then by time.

    Ids alone sort differently where one is the beginning of another: `_` comes behind `-` and `.`.
    """
    ids = [recording.id for recording in windows.recordings]
    ranks = np.empty(len(ids), dtype=np.int64)
    ranks[sorted(range(len(ids)), key=lambda number: ids[number] + "_data.npy")] = np.arange(len(ids))
    owners = windows.index["recording"]
    return np.argsort(ranks[owners] if len(ids) else owners, kind="stable")


def sequences(windows: Windows, length: int, drop_last: bool = False) -> list[range]:
    """The numbers of `length` consecutive windows of one recording, again and again, in order of time.

    None leads across a gap, or across windows that were left out: a sequence ends where the next window is not the next of
    its recording. What is left before such a place is a shorter sequence, or none with `drop_last`.
    """
    if length < 1:
        raise ValueError(f"a sequence of {length} windows")
    owners, numbers = windows.index["recording"], windows.index["window"].astype(np.int64)
    edges = np.flatnonzero((np.diff(owners) != 0) | (np.diff(numbers) != 1)) + 1
    starts = [0, *edges.tolist()] if len(owners) else []
    ends = [*edges.tolist(), len(owners)]
    found: list[range] = []
    for start, end in zip(starts, ends):
        cuts = range(start, end, length)
        found.extend(range(cut, min(cut + length, end)) for cut in cuts)
    return [one for one in found if len(one) == length or not drop_last]
