"""The choice of windows equals an independent computation, order and all."""

import numpy as np
import pytest

import eegcache
from eegcache import sampling


def origin(files, seed=42):
    """`brain_brr`'s rule from its description, over lists of (file, window) as its manifest has them."""
    partial, full, none = (sorted(files[kind]) for kind in ("partial", "full", "none"))
    rng = np.random.default_rng(seed)
    chosen = list(partial)
    wanted = min(int(0.3 * len(partial)), len(full))
    if wanted > 0:
        chosen += [full[i] for i in rng.choice(len(full), wanted, replace=False)]
    wanted = min(int(2.5 * len(partial)), len(none))
    if wanted > 0:
        chosen += [none[i] for i in rng.choice(len(none), wanted, replace=False)]
    order = np.arange(len(chosen))
    rng.shuffle(order)
    return [chosen[i] for i in order]


@pytest.mark.parametrize("length_s, stride_s", [(60, 10), (10, 2), (4, 4), (2, 1)])
@pytest.mark.parametrize("split", ["train", "val"])
def test_the_balanced_choice_is_the_origins(built, split, length_s, stride_s):
    windows = built.open().windows(split, length_s, stride_s)
    files = {"none": [], "partial": [], "full": []}
    for i in range(len(windows)):
        meta = windows.meta(i)
        labels = windows.labels(i)
        share = labels.mean()
        kind = "none" if share == 0 else "full" if share >= 0.99 else "partial"
        files[kind].append((f"{meta['id']}_data.npy", meta["window"]))
    assert files["partial"]
    chosen = [windows.meta(i) for i in sampling.balanced(windows)]
    assert [(f"{meta['id']}_data.npy", meta["window"]) for meta in chosen] == origin(files)


def pretend(ids, classes):
    """Windows of recordings that do not exist: sampling reads none."""
    rows = np.zeros(len(classes), eegcache._windows.ROW)
    rows["recording"] = [owner for owner, _ in classes]
    rows["class"] = [kind for _, kind in classes]
    for owner in range(len(ids)):
        mine = rows["recording"] == owner
        rows["window"][mine] = np.arange(mine.sum())
    rows["length"] = 1
    entries = [
        {"id": id, "subject": id, "split": "train", "rate_hz": 256, "samples": 9, "files": {"signal": {"name": id}}}
        for id in ids
    ]
    promises = [((0, 0), None)] * len(ids)
    return eegcache.Windows(None, entries, promises, rows.tobytes(), "train")


def test_files_are_sorted_by_their_names_and_not_by_ids():
    ids = ["a", "a-1", "a.b", "a_1", "b"]
    classes = [(owner, kind) for owner in range(5) for kind in (0, 0, 0, 0, 1, 2)]
    windows = pretend(ids, classes)
    files = {"none": [], "partial": [], "full": []}
    for i, (owner, kind) in enumerate(classes):
        files[["none", "partial", "full"][kind]].append((f"{ids[owner]}_data.npy", i % 6))
    chosen = [(f"{ids[i // 6]}_data.npy", i % 6) for i in sampling.balanced(windows)]
    assert chosen == origin(files)


@pytest.mark.parametrize("partial, full, none", [(1, 5, 9), (3, 5, 9), (4, 1, 3), (40, 100, 1000), (5, 0, 0)])
def test_few_windows_of_a_kind_are_all_taken(partial, full, none):
    classes = [(0, 1)] * partial + [(0, 2)] * full + [(0, 0)] * none
    chosen = sampling.balanced(pretend(["a"], classes))
    kinds = [classes[i][1] for i in chosen]
    assert kinds.count(1) == partial
    assert kinds.count(2) == min(int(0.3 * partial), full)
    assert kinds.count(0) == min(int(2.5 * partial), none)
    assert len(set(chosen.tolist())) == len(chosen)


def test_nothing_to_balance_is_an_error():
    with pytest.raises(ValueError, match="nothing to balance"):
        sampling.balanced(pretend(["a"], [(0, 0), (0, 2)]))


def test_sequences_stay_within_a_recording_and_in_time():
    windows = pretend(["a", "b", "c"], [(0, 0)] * 5 + [(1, 0)] * 2 + [(2, 0)] * 4)
    assert [list(one) for one in sampling.sequences(windows, 2)] == [
        [0, 1], [2, 3], [4], [5, 6], [7, 8], [9, 10],
    ]
    assert [list(one) for one in sampling.sequences(windows, 3, drop_last=True)] == [[0, 1, 2], [7, 8, 9]]
    assert sampling.sequences(pretend([], []), 3) == []
    with pytest.raises(ValueError):
        sampling.sequences(windows, 0)


def test_sequences_break_where_windows_are_missing():
    windows = pretend(["a", "b"], [(0, 0)] * 6 + [(1, 0)] * 3)
    holes = windows.select(np.array([1, 1, 0, 1, 1, 1, 0, 1, 1], dtype=bool))
    assert [list(one) for one in sampling.sequences(holes, 2)] == [[0, 1], [2, 3], [4], [5, 6]]
    assert [list(one) for one in sampling.sequences(holes, 3, drop_last=True)] == [[2, 3, 4]]
    shuffled = windows.select([2, 1, 0])
    assert [list(one) for one in sampling.sequences(shuffled, 2)] == [[0], [1], [2]]


def test_sequences_break_at_gaps(built):
    windows = built.open().windows("train", 10, 5)
    # As `gaps: fill` leaves them: the windows that touch a gap have no row.
    windows = windows.select(~np.isin(windows.index["window"], (3, 4, 5)))
    for one in sampling.sequences(windows, 4):
        metas = [windows.meta(i) for i in one]
        assert len({meta["id"] for meta in metas}) == 1
        assert np.all(np.diff([meta["start_s"] for meta in metas]) == 5)
