"""An export loads the way the origin's programs load it."""

import json

import numpy as np
import pytest

import eegcache
from eegcache import sampling


def test_the_origins_pairs_hold_the_same_windows_and_give_the_same_sample(built, tmp_path):
    heard = []
    directory = tmp_path / "out"
    report = eegcache.export(
        "brain-brr", directory, None, "smoke", progress=heard.append, **built.where
    )
    assert report.exported > 0 and report.left == 0 and heard[-1].done == heard[-1].total
    windows = built.open().windows("train")
    place = {(windows.meta(i)["id"], windows.meta(i)["window"]): i for i in range(len(windows))}
    lists = json.loads((directory / "train" / "manifest.json").read_text())
    items = {}
    for kind in ("partial_seizure", "full_seizure", "no_seizure"):
        items[kind] = [(item["cache_file"], item["window_idx"]) for item in lists[kind]]
        for name, number in items[kind]:
            data = np.load(directory / "train" / name, mmap_mode="r")
            labels = np.load(
                directory / "train" / name.replace("_data.npy", "_labels.npy"), mmap_mode="r"
            )
            i = place.pop((name.replace("_data.npy", ""), number))
            assert np.array_equal(data[number], windows[i])
            assert np.array_equal(labels[number], windows.labels(i))
    assert not place
    # The origin's sampling over the origin's lists: the order of training is the same.
    rng = np.random.default_rng(42)
    partial, full, none = (items[kind] for kind in ("partial_seizure", "full_seizure", "no_seizure"))
    chosen = list(partial)
    for candidates, ratio in ((full, 0.3), (none, 2.5)):
        count = min(int(ratio * len(partial)), len(candidates))
        if count > 0:
            chosen += [candidates[i] for i in rng.choice(len(candidates), count, replace=False)]
    rng.shuffle(order := np.arange(len(chosen)))
    ours = [windows.meta(i) for i in sampling.balanced(windows)]
    assert [(f"{meta['id']}_data.npy", meta["window"]) for meta in ours] == [chosen[i] for i in order]
    again = eegcache.export("brain-brr", directory, None, "smoke", progress=False, **built.where)
    assert (again.exported, again.kept) == (0, report.exported)


def test_an_export_that_cannot_be_is_refused(built, tmp_path):
    with pytest.raises(eegcache.ConfigError, match="no layout"):
        eegcache.export("parquet", tmp_path / "out", None, "smoke", **built.where)
    with pytest.raises(eegcache.NotReadyError, match="NOT_FOUND"):
        eegcache.export("npy", tmp_path / "out", None, "dev", progress=False, **built.where)
    assert not (tmp_path / "out").exists()
