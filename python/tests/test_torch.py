"""The dataset and the samplers in PyTorch's own loader."""

import os
import pickle

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="skipped: PyTorch is not installed here")

import eegcache
from eegcache import sampling
from eegcache.torch import BalancedSampler, SequenceSampler, WindowDataset


def dataset(project, split="train", **options):
    return WindowDataset(None, split, "smoke", **options, **project.where)


def load(data, **options):
    return torch.utils.data.DataLoader(data, **options)


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_two_workers_serve_every_window_once(built, context):
    data = dataset(built)
    seen = {}
    for x, y, meta in load(data, batch_size=4, num_workers=2, multiprocessing_context=context):
        assert x.dtype == y.dtype == torch.float32 and x.shape[0] == y.shape[0]
        for row in range(len(x)):
            key = meta["id"][row], int(meta["window"][row])
            assert key not in seen
            seen[key] = x[row].numpy().copy(), y[row].numpy().copy()
    assert len(seen) == len(data)
    for i in range(len(data)):
        meta = data.windows.meta(i)
        x, y = seen[meta["id"], meta["window"]]
        assert np.array_equal(x, data.windows[i]) and np.array_equal(y, data.windows.labels(i))
    served = data.served()
    assert len(served) == 2 and os.getpid() not in served
    assert sum(served.values()) == len(data)
    data[0]
    assert data.served()[os.getpid()] == 1
    assert data.__getitems__([2, 0, 1])[1][2] == data.windows.meta(0)
    assert data.served()[os.getpid()] == 4


def test_a_dataset_is_pickled_and_opened_where_it_is_read(built):
    data = dataset(built)
    copy = pickle.loads(pickle.dumps(data))
    assert copy.cache is None and len(copy.windows._maps) == 0
    assert torch.equal(copy[1][0], data[1][0])
    assert sum(data.served().values()) == 2  # both count in one place


def test_a_dataset_never_builds(project, monkeypatch):
    with pytest.raises(eegcache.NotReadyError, match="NOT_FOUND"):
        dataset(project)
    assert not (project.root / "cache").exists()
    project.build()
    before = sorted(path for path in (project.root / "cache").rglob("*"))
    # What `dev` lacks and another profile holds, pre-flight would link: a dataset does not.
    with pytest.raises(eegcache.NotReadyError):
        WindowDataset(None, "train", "dev", **project.where)
    assert sorted(path for path in (project.root / "cache").rglob("*")) == before
    for name, value in project.where["env"].items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(project.root)
    assert len(WindowDataset("configs/smoke_test.yaml")) > 0


def test_items_may_be_written_to_and_transformed(built):
    cache = built.open()
    data = WindowDataset(cache, "val", length_s=10, stride_s=5, transform=lambda x: x * 2)
    x, y, meta = data[0]
    assert torch.equal(x, 2 * torch.from_numpy(data.windows[0].copy()))
    x += 1
    y += 1
    assert y.shape == (2560,) and meta["split"] == "val"
    assert len(data) == len(cache.windows("val", 10, 5))


def test_the_balanced_sampler_in_a_loader(built):
    data = dataset(built)
    sampler = BalancedSampler(data)
    expected = [data.windows.meta(i) for i in sampling.balanced(data.windows)]
    keys = []
    for _, _, meta in load(data, batch_size=3, sampler=sampler, num_workers=2):
        keys += list(zip(meta["id"], meta["window"].tolist()))
    assert keys == [(meta["id"], meta["window"]) for meta in expected]
    first = list(sampler)
    sampler.set_epoch(1)
    assert list(sampler) != first and sorted(sampler) == sorted(first) and len(sampler) == len(first)
    sampler.set_epoch(0)
    assert list(sampler) == first


def test_the_sequence_sampler_in_a_loader(built):
    data = dataset(built)
    sampler = SequenceSampler(data, 4, shuffle=True)
    count = 0
    for x, _, meta in load(data, batch_sampler=sampler):
        assert len(set(meta["id"])) == 1 and 1 <= len(x) <= 4
        assert np.all(np.diff(meta["window"].numpy()) == 1)
        count += len(x)
    assert count == len(data)
    first = list(sampler)
    sampler.set_epoch(1)
    assert list(sampler) != first and sorted(sampler) == sorted(first)


def resident(pid):
    with open(f"/proc/{pid}/status") as status:
        lines = dict(line.split(":", 1) for line in status)
    return int(lines["RssAnon"].split()[0])


def test_workers_keep_their_memory_flat(built):
    data = dataset(built, length_s=1, stride_s=0.5)
    loader = load(data, batch_size=32, num_workers=2, shuffle=True, persistent_workers=True)
    marks = []
    for _ in range(4):
        for _ in loader:
            pass
        workers = [pid for pid in data.served() if pid != os.getpid()]
        marks.append(max(map(resident, workers)))
    assert sum(data.served().values()) == 4 * len(data)
    # Kilobytes, from the second epoch on: the first one fills what is kept.
    assert max(marks[1:]) - marks[1] < 8_000, marks


def test_unlabelled_windows_are_left_out_or_unknown(built):
    data = dataset(built)
    windows = data.windows
    rows = windows.index.copy()
    rows["class"][:2] = eegcache.UNLABELLED
    kept = windows.select(slice(None))
    kept.index = rows
    cache = built.open()
    cache.windows = lambda *_: kept
    assert len(WindowDataset(cache)) == len(windows) - 2
    assert len(WindowDataset(cache, unlabelled=True)) == len(windows)


@pytest.mark.parametrize(
    "given, says, hint",
    [
        ({"length_s": 6000}, "no window of 6000 s in `train`: the longest recording has", "shorter `length_s`"),
        ({"split": "val", "length_s": "6000"}, "`val`", "shorter `length_s`"),
    ],
)
def test_a_dataset_without_windows_is_refused(built, given, says, hint):
    with pytest.raises(eegcache.GateError, match=says) as raised:
        dataset(built, **given)
    assert hint in raised.value.hint
    assert len(built.open().windows("train", 6000)) == 0


@pytest.mark.parametrize(
    "entries, says",
    [
        ([], "there is no recording of `train`"),
        ([{"id": "a", "subject": "a", "split": "train", "rate_hz": 256, "samples": 25600}], "each would touch a gap"),
    ],
    ids=["no recording", "gaps"],
)
def test_a_dataset_without_windows_says_why(built, entries, says):
    entries = [{**entry, "files": {"signal": {"name": "train/a.npz"}}} for entry in entries]
    cache = built.open()
    cache.windows = lambda *_: eegcache.Windows(None, entries, [((0, 0), None)] * len(entries), b"", "train")
    with pytest.raises(eegcache.GateError, match=says):
        WindowDataset(cache)


def test_a_dataset_without_labels_says_how_it_can_be_had(built):
    cache = built.open()
    windows = cache.windows("train")
    rows = windows.index.copy()
    rows["class"] = eegcache.UNLABELLED
    windows.index = rows
    cache.windows = lambda *_: windows
    with pytest.raises(eegcache.GateError, match=f"all {len(windows)} windows of `train` are unlabelled") as raised:
        WindowDataset(cache)
    assert "unlabelled=True" in raised.value.hint
    assert len(WindowDataset(cache, unlabelled=True)) == len(windows)


@pytest.mark.parametrize(
    "given", [{"profile": "full"}, {"set": {}}, {"cache_root": "x"}, {"project": "x"}, {"env": {}}], ids=str
)
def test_nothing_is_configured_beside_an_opened_cache(built, given):
    [name] = given
    with pytest.raises(TypeError, match=f"`{name}` means nothing where an opened cache is passed"):
        WindowDataset(built.open(), "train", **given)


def test_an_item_has_a_whole_number(built):
    data = dataset(built)
    assert torch.equal(data[np.int64(1)][0], data[torch.tensor(1)][0])
    for wrong in (1.5, "1", [1], slice(2)):
        with pytest.raises(TypeError, match="whole number"):
            data[wrong]
