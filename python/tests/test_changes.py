"""A cache that changes while it is open: what is read is what was opened, or there is an exception."""

import copy
import gc
import os
import pickle
import re
import shutil
import subprocess
import sys

import fcntl
import numpy as np
import pytest

import eegcache


def source(project, id, suffix):
    [path] = project.root.glob(f".demo/edf/*/*/*/*/{id}{suffix}")
    return path


def give(project, id, other):
    """Another recording's signal and annotation under an id."""
    for suffix in (".edf", ".csv", ".csv_bi"):
        path = source(project, id, suffix)
        path.unlink()
        shutil.copyfile(source(project, other, suffix), path)


def of_recording(windows, id):
    """The number of the last window of a recording."""
    return max(i for i in range(len(windows)) if windows.meta(i)["id"] == id)


@pytest.fixture
def opened(project):
    """A cache of which every file was read once and none is mapped any more, two of its recordings, and the project."""
    project.build()
    cache = project.open()
    windows = cache.windows("train", 10, 10)
    lengths = {one.id: one.samples for one in windows.recordings}
    shortest, longest = sorted(lengths, key=lengths.get)[:: len(lengths) - 1]
    assert lengths[shortest] < lengths[longest]
    windows._maps.kept = 1
    for i in range(len(windows)):
        windows[i], windows.labels(i)
    return project, cache, windows, shortest, longest


@pytest.mark.parametrize("is_longer", [False, True])
def test_a_recording_that_was_replaced_is_not_read(opened, is_longer):
    project, cache, windows, shortest, longest = opened
    id, other = (shortest, longest) if is_longer else (longest, shortest)
    untouched = next(one.id for one in windows.recordings if one.id not in (id, other))
    ours, theirs = of_recording(windows, id), of_recording(windows, untouched)
    before = windows[theirs].copy()
    windows.labels(theirs)
    give(project, id, other)
    assert project.build().built == 1
    fresh = pickle.loads(pickle.dumps(windows))
    for read in (windows, fresh):
        for call in (read.__getitem__, read.labels, read.microvolts):
            with pytest.raises(eegcache.NotReadyError, match="changed since it was opened") as raised:
                call(ours)
            assert "open the cache again" in raised.value.hint
        assert np.array_equal(read[theirs], before)
    for call in (cache.signal, cache.labels):
        with pytest.raises(eegcache.NotReadyError, match="changed since it was opened"):
            call(id)
    again = project.open().windows("train", 10, 10)
    assert np.array_equal(again[of_recording(again, id)], again[of_recording(again, other)])


def test_labels_that_were_made_again_are_not_read(opened):
    project, _, windows, _, _ = opened
    ill = int(np.flatnonzero(windows.classes)[0])
    windows[ill]
    annotation = source(project, windows.meta(ill)["id"], ".csv")
    lines = annotation.read_text().splitlines(keepends=True)
    # One channel's seizures are left: without any, the profile would choose another recording.
    channel = [line for line in lines if "sz," in line][-1].split(",")[0]
    lines = [line if line.startswith(channel) else re.sub(r",\w+sz,", ",bckg,", line) for line in lines]
    annotation.write_text("".join(lines))
    assert project.build().relabelled == 1
    with pytest.raises(eegcache.NotReadyError, match="changed since it was opened"):
        windows.labels(ill)
    windows[0]
    assert windows[ill].shape == windows[0].shape


def test_a_file_that_is_gone_asks_for_another_opening(opened):
    _, cache, windows, _, _ = opened
    [*map(cache.signal, cache.splits["val"][:2])]
    shutil.rmtree(cache.directory / "train")
    with pytest.raises(eegcache.NotReadyError, match="changed since it was opened.* is gone") as raised:
        windows[0]
    assert "open the cache again" in raised.value.hint
    shutil.rmtree(cache.directory)
    with pytest.raises(eegcache.NotReadyError, match="is gone"):
        cache.labels(cache.splits["val"][-1])


def test_the_same_file_made_again_is_read_on(opened):
    project, _, windows, shortest, _ = opened
    number = of_recording(windows, shortest)
    before, labels = windows[number].copy(), windows.labels(number).copy()
    for path in project.root.glob(f"cache/smoke/*/train/{shortest}.*npz"):
        path.unlink()
    windows[0], windows.labels(0)
    assert project.build().built == 1
    assert np.array_equal(windows[number], before) and np.array_equal(windows.labels(number), labels)


def is_held(directory):
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@pytest.mark.parametrize("keep", [lambda windows: windows, lambda windows: windows.select([1, 0]), copy.copy, copy.deepcopy])
def test_windows_hold_the_version_without_the_cache(project, keep):
    project.build()
    directory = project.open().directory
    gc.collect()
    assert not is_held(directory)
    windows = keep(project.open().windows("train"))
    gc.collect()
    assert is_held(directory)
    del windows
    gc.collect()
    assert not is_held(directory)


def test_a_pickle_holds_nothing(project):
    project.build()
    text = pickle.dumps(project.open().windows("train"))
    windows = pickle.loads(text)
    gc.collect()
    windows[0]
    assert windows._maps._held is None


def test_views_keep_no_descriptor_open(built):
    cache = built.open()
    windows = cache.windows("train")
    before = len(os.listdir("/proc/self/fd"))
    views = windows[:], [windows.labels(i) for i in range(len(windows))], [*map(cache.signal, cache.splits["val"])]
    assert len(windows.recordings) > 4 and len(os.listdir("/proc/self/fd")) == before
    assert all(view.base is not None for kind in views for view in kind)


WITHOUT_DESCRIPTORS = """
import os, resource, sys
import eegcache

windows = eegcache.Cache.open(sys.argv[1]).windows("train", 10, 10)
used = max(map(int, os.listdir("/proc/self/fd")))
resource.setrlimit(resource.RLIMIT_NOFILE, (used, used))
try:
    windows[0]
except eegcache.IoError as error:
    assert "ulimit -n" in error.hint, error
else:
    sys.exit("nothing was raised")
"""


def test_without_a_descriptor_the_limit_is_named(built):
    command = [sys.executable, "-c", WITHOUT_DESCRIPTORS, str(built.open().directory)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr


def test_a_view_outlives_its_file(project):
    project.build()
    cache = project.open()
    id = cache.splits["train"][0]
    signal = cache.signal(id)
    before = signal.copy()
    shutil.rmtree(cache.directory)
    del cache
    gc.collect()
    assert np.array_equal(signal, before)
