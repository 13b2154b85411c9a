"""Windows are what NumPy alone reads, class by class and byte by byte."""

import json
import os
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest

import eegcache

DEMO = "demo_v1_256hz_10-20"


def by_hand(directory, split, length, stride):
    """Every window of a split by `np.load` and slicing: id, number, signal, labels, scale."""
    for path in sorted(directory.glob(f"{split}/*.npz"), key=lambda path: path.stem.encode()):
        if path.name.endswith(".labels.npz"):
            continue
        with np.load(path) as arrays:
            signal, scale = arrays["signal"], arrays["scale"]
        labels = path.with_suffix(".labels.npz")
        if labels.exists():
            with np.load(labels) as arrays:
                labels = arrays["labels"]
        else:
            labels = None
        for number, start in enumerate(range(0, signal.shape[1] - length + 1, stride)):
            cut = slice(start, start + length)
            yield path.stem, number, signal[:, cut], None if labels is None else labels[cut], scale


RATE = 256
RANDOM = np.random.default_rng(5)
WINDOWINGS = [(None, None), (60, 10), (1, 1)] + [
    (int(RANDOM.integers(1, 40 * RATE)) / RATE, int(RANDOM.integers(RATE, 30 * RATE)) / RATE)
    for _ in range(4)
]


@pytest.mark.parametrize("split", ["train", "val", "eval"])
@pytest.mark.parametrize("length_s, stride_s", WINDOWINGS)
def test_every_window_is_what_numpy_reads(built, split, length_s, stride_s):
    cache = built.open()
    windows = cache.windows(split, length_s, stride_s)
    length, stride = int((length_s or 60) * RATE), int((stride_s or 10) * RATE)
    expected = list(by_hand(cache.directory, split, length, stride))
    assert len(windows) == len(expected) > 0
    seizure_samples = 0
    for i, (id, number, signal, labels, scale) in enumerate(expected):
        window = windows[i]
        assert window.dtype == np.float32 and np.array_equal(window, signal)
        assert np.array_equal(windows.labels(i), labels)
        seizure = int(labels.sum())
        seizure_samples += seizure
        kind = 0 if seizure == 0 else 2 if 100 * seizure >= 99 * length else 1
        assert windows.classes[i] == kind
        row = windows.index[i]
        assert windows.recordings[row["recording"]].id == id
        assert (row["window"], row["start"], row["length"]) == (number, number * stride, length)
        assert row["seizure"] == seizure
        meta = windows.meta(i)
        assert meta["id"] == id and meta["start_s"] == number * stride / RATE
        assert (meta["seizure_samples"], meta["class"]) == (seizure, ["none", "partial", "full"][kind])
        if i % 7 == 0:
            microvolts = signal.astype(np.float64) * scale[:, 1:] + scale[:, :1]
            assert np.array_equal(windows.microvolts(i), microvolts)
    kinds = windows.classes
    assert windows.seizure_ratio == np.count_nonzero(kinds) / len(kinds)
    total = len(windows) * length
    assert windows.pos_weight == pytest.approx((total - seizure_samples) / seizure_samples)


def test_windows_are_views_of_the_mapped_file(built):
    windows = built.open().windows("train")
    window = windows[0]
    assert not window.flags.owndata and not window.flags.writeable
    assert np.shares_memory(window, windows[0])
    with pytest.raises(ValueError):
        window[0, 0] = 1
    half = built.open().windows("train", dtype=np.float16)
    assert half[0].dtype == np.float16 and np.array_equal(half[0], window.astype(np.float16))


def test_windows_are_a_sequence(built):
    windows = built.open().windows("val")
    assert np.array_equal(windows[-1], windows[len(windows) - 1])
    assert [one.shape for one in windows[1:3]] == [windows[1].shape] * 2
    assert np.array_equal(windows[np.int64(1)], windows[1])
    assert sum(1 for _ in windows) == len(windows)
    for wrong in (len(windows), -len(windows) - 1):
        with pytest.raises(IndexError):
            windows[wrong]
    for wrong in ("0", [1, 2], (), (3,), 1.0, None, np.array([1, 2]), ...):
        for call in (windows.__getitem__, windows.labels, windows.meta, windows.microvolts):
            with pytest.raises(TypeError, match="whole number .*slices.*`Windows.select`"):
                call(wrong)
    with pytest.raises(TypeError, match="by their number"):
        windows[0] in windows
    with pytest.raises(TypeError, match="by their number"):
        windows.count(windows[0])
    ill = windows.select(windows.classes != eegcache.NONE)
    assert len(ill) == np.count_nonzero(windows.classes)
    assert ill.labels(0).any()


def test_the_index_as_a_data_frame(built):
    pandas = pytest.importorskip("pandas")
    windows = built.open().windows("train")
    frame = windows.frame()
    assert isinstance(frame, pandas.DataFrame) and len(frame) == len(windows)
    assert frame["id"][0] == windows.meta(0)["id"]


def test_a_cache_tells_what_it_holds(built):
    cache = built.open()
    manifest = json.loads((cache.directory / "manifest.json").read_text())
    assert cache.manifest == manifest and cache.profile == "smoke" and cache.version == DEMO
    ids = [entry["id"] for entry in manifest["entries"]]
    assert list(cache.recordings) == ids
    assert {split: len(names) for split, names in cache.splits.items()} == {
        split: totals["recordings"] for split, totals in manifest["totals"].items()
    }
    id = cache.splits["train"][0]
    with np.load(cache.directory / "train" / f"{id}.npz") as arrays:
        assert np.array_equal(cache.signal(id), arrays["signal"])
    with np.load(cache.directory / "train" / f"{id}.labels.npz") as arrays:
        assert np.array_equal(cache.labels(id), arrays["labels"])


def test_a_directory_can_be_opened_without_a_configuration(built):
    by_config = built.open()
    directory = by_config.directory
    for name in (directory, str(directory), directory.parent / "latest"):
        cache = eegcache.Cache.open(name)
        assert cache.directory.samefile(directory)
        windows = cache.windows("train", 60, "10")
        assert np.array_equal(windows.index, by_config.windows("train").index)
    with pytest.raises(eegcache.ConfigError, match="length_s"):
        cache.windows("train")
    with pytest.raises(TypeError, match="profile"):
        eegcache.Cache.open(directory, "smoke")
    with pytest.raises(eegcache.NotReadyError, match="NOT_FOUND"):
        eegcache.Cache.open(built.root)
    with pytest.raises(eegcache.ConfigError):
        eegcache.Cache.open("/")
    for missing in (directory.parent / "nope", "cache/smoke/nope"):
        with pytest.raises(eegcache.NotReadyError, match=f"NOT_FOUND: there is no directory .*nope") as raised:
            eegcache.Cache.open(missing)
        assert "eegcache build" in raised.value.hint
    with pytest.raises(eegcache.ConfigError, match="nope.yaml"):
        eegcache.Cache.open("configs/nope.yaml", **built.where)


def test_a_split_that_was_not_opened_is_no_empty_one(built):
    cache = built.open(set={"data.splits": ["train"]})
    assert list(cache.splits) == ["train"] and len(cache.windows("train")) > 0
    with pytest.raises(eegcache.ConfigError, match="`val` was not opened, only `train`") as raised:
        cache.windows("val")
    assert "data.splits" in raised.value.hint


def test_a_version_of_some_splits_has_no_others(project):
    project.build(set={"data.splits": ["train", "val"]})
    cache = eegcache.Cache.open(project.open(set={"data.splits": ["val"]}).directory)
    assert len(cache.windows("val", 60, 10)) > 0
    with pytest.raises(eegcache.ConfigError, match="`eval` was not opened"):
        cache.windows("eval", 60, 10)


def test_recordings_are_listed_once_and_found_by_id(built):
    cache = built.open()
    assert cache.recordings is cache.recordings
    id = cache.splits["val"][0]
    for call in (cache.signal, cache.labels):
        with pytest.raises(eegcache.ConfigError, match=f"no recording `{id}x`") as raised:
            call(id + "x")
        assert f"did you mean `{id}`" in raised.value.hint
        with pytest.raises(eegcache.ConfigError, match="no recording `12`"):
            call(12)


def test_a_path_that_is_no_utf_8_has_a_reason(built, tmp_path):
    named = os.fsencode(tmp_path) + b"/c\xff"
    os.makedirs(named + b"/smoke")
    shutil.copytree(os.fsencode(built.open().directory), named + b"/smoke/" + DEMO.encode())
    named = os.fsdecode(named)
    link = tmp_path / "link"
    link.symlink_to(named)
    calls = [
        lambda: eegcache.Cache.open(f"{named}/smoke/{DEMO}"),
        lambda: eegcache.Cache.open(link / "smoke" / DEMO),
        lambda: eegcache.Cache.open(None, "smoke", **{**built.where, "cache_root": named}),
        lambda: eegcache.status(f"{named}/x.yaml", **built.where),
        lambda: eegcache.status(project=named),
        lambda: eegcache.export("npy", f"{named}/new", None, "smoke", **built.where),
        lambda: eegcache.adopt(named, None, "smoke", **built.where),
    ]
    for call in calls:
        with pytest.raises(eegcache.ConfigError, match=r"c\\udcff.* is no UTF-8") as raised:
            call()
        str(raised.value).encode()


def test_a_directory_that_is_not_whole_is_refused(built, tmp_path):
    source = built.open().directory
    directory = tmp_path / "cache" / "smoke" / DEMO
    shutil.copytree(source, directory)
    assert len(eegcache.Cache.open(directory).recordings) > 0
    [first] = sorted(directory.glob("val/*.labels.npz"))[:1]
    first.unlink()
    with pytest.raises(eegcache.NotReadyError, match="INCOMPLETE.* 1 of 12"):
        eegcache.Cache.open(directory)
    manifest = directory / "manifest.json"
    text = manifest.read_text()
    manifest.unlink()
    manifest.write_text(text.replace('"smoke"', '"smoky"', 1))
    with pytest.raises(eegcache.DamagedError):
        eegcache.Cache.open(directory)
    manifest.unlink()
    shutil.rmtree(directory / ".build")
    with pytest.raises(eegcache.NotReadyError, match="NOT_FOUND"):
        eegcache.Cache.open(directory)


@pytest.mark.parametrize(
    "split, length_s, stride_s, says",
    [
        ("test", None, None, "no split `test`"),
        ("train", 0.3, None, "no whole number of samples"),
        ("train", 0, None, "no whole number of samples"),
        ("train", "1e3", None, "no plain number"),
        ("train", float("nan"), None, "no plain number"),
        ("train", None, -1, "no whole number of samples"),
    ],
)
def test_windows_that_cannot_be_are_refused(built, split, length_s, stride_s, says):
    with pytest.raises(eegcache.ConfigError, match=says):
        built.open().windows(split, length_s, stride_s)


def test_windows_cannot_be_integers(built):
    with pytest.raises(TypeError):
        built.open().windows("train", dtype=np.int16)


def test_a_sequence_is_pickled_without_a_file(built):
    windows = built.open().windows("train")
    expected = windows[3].copy()
    text = pickle.dumps(windows)
    assert len(text) < 100_000 + windows.index.nbytes
    copy = pickle.loads(text)
    assert len(copy._maps) == 0
    assert np.array_equal(copy[3], expected) and np.array_equal(copy.labels(3), windows.labels(3))


def test_few_files_are_mapped_at_once(built):
    windows = built.open().windows("train", 1, 1)
    windows._maps.kept = 3
    before = len(os.listdir("/proc/self/fd"))
    for i in np.random.default_rng(0).integers(len(windows), size=2000):
        windows[i]
    assert len(windows._maps) == 3
    assert len(os.listdir("/proc/self/fd")) <= before + 4


FLAT = """
import sys
import numpy as np, eegcache

def resident():
    with open("/proc/self/status") as status:
        lines = dict(line.split(":", 1) for line in status)
    return int(lines["VmRSS"].split()[0]), int(lines["RssAnon"].split()[0])

windows = eegcache.Cache.open(sys.argv[1]).windows("train", 10, 1)
order = np.random.default_rng(1).integers(len(windows), size=100_000)
largest, checks, marks = 0, 0.0, []
for number, i in enumerate(order):
    checks += float(windows[i][:, ::512].sum())
    if number % 10_000 == 9_999:
        marks.append(resident())
assert checks == checks
print(*(f"{total},{own}" for total, own in marks))
"""


def test_resident_memory_is_flat_over_a_hundred_thousand_reads(built):
    run = subprocess.run(
        [sys.executable, "-c", FLAT, str(built.open().directory)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    marks = [tuple(map(int, mark.split(","))) for mark in run.stdout.split()]
    assert len(marks) == 10
    # Kilobytes, from the first ten thousand reads to the last: what is mapped comes and goes.
    own = [own for _, own in marks]
    assert max(own) - own[0] < 2_000, marks
    file_bytes = sum(path.stat().st_size for path in built.open().directory.glob("train/*.npz"))
    assert max(total for total, _ in marks) < max(own) + file_bytes / 1024 + 150_000, marks


FLOAT16 = {"storage.dtype": "float16", "cache.version": "half"}


def test_float16_is_converted(project):
    project.build(set=FLOAT16)
    windows = project.open(set=FLOAT16).windows("train")
    assert windows[0].dtype == np.float32
    raw = project.open(set=FLOAT16).windows("train", dtype="float16")
    assert raw[0].dtype == np.float16 and not raw[0].flags.owndata
    assert np.array_equal(windows[0], raw[0].astype(np.float32))
    assert windows.microvolts(0).dtype == np.float64


def test_unlabelled_recordings_have_windows_and_no_labels(project):
    project.write(
        "configs/datasets/bare.yaml",
        "cache: {version: bare}\nlabels: {unlabelled: keep}\n"
        "dataset:\n  root: .demo/edf\n  recordings: '**/*.edf'\n  annotations: {format: none}\n"
        "  subject: '(?:^|/)(?P<subject>[^/_]+)[^/]*$'\n"
        "  splits: {directory: {train: train, val: dev, eval: eval}}\n  allow_no_seizures: true\n"
        "  known_defects: {demoaach_s002_t000: truncated, demoaaiu_s002_t000: missing-channels,"
        " demoaavs_s001_t000: flat}\n",
    )
    bare = {"set": {"data.dataset": "bare", "cache.max_quarantined": 0.5}}
    project.build(**bare)
    windows = project.open(**bare).windows("train")
    assert len(windows) > 0 and set(windows.classes.tolist()) == {eegcache.UNLABELLED}
    assert windows.labels(0) is None and windows.meta(0)["class"] == "unlabelled"
    assert np.isnan(windows.seizure_ratio) and windows.pos_weight == float("inf")
    with pytest.raises(ValueError, match="nothing to balance"):
        from eegcache import sampling

        sampling.balanced(windows)


@pytest.mark.parametrize("length_s, stride_s", [(60, 10), (8, 3)])
def test_windows_are_counted_as_status_counts_them(built, length_s, stride_s):
    windowing = {"windows.length_s": length_s, "windows.stride_s": stride_s}
    [profile] = eegcache.status(None, "smoke", set=windowing, **built.where).profiles
    cache = built.open(set=windowing)
    for split, counts in profile.splits.items():
        windows = cache.windows(split)
        kinds = {"none": eegcache.NONE, "partial": eegcache.PARTIAL, "full": eegcache.FULL}
        found = {name: int((windows.classes == kind).sum()) for name, kind in kinds.items()}
        assert found == counts.windows
        assert windows.seizure_ratio == pytest.approx(counts.seizure_share_of_windows)


@pytest.mark.parametrize("by_directory", [False, True])
def test_an_open_cache_is_held(built, by_directory):
    import fcntl

    cache = built.open()
    if by_directory:
        cache = eegcache.Cache.open(cache.directory)
    directory = os.open(cache.directory, os.O_RDONLY)
    try:
        with pytest.raises(BlockingIOError):
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        del cache
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(directory)
