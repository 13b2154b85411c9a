"""Random windows side by side: the origin's compressed layout, NumPy's memory map, and this package.

    python python/benchmarks/reading.py DIRECTORY [SPLIT]

DIRECTORY is a `data.cache_dir`, for instance `cache/smoke/demo_v1_256hz_10-20`. The origin's layout of its longest recording is
written to a temporary directory first. Rounds of all ways alternate, so that a busy machine slows all of them down; the best of each counts.
"""

import pathlib
import struct
import sys
import tempfile
import time
import zipfile

import numpy as np

import eegcache

ROUNDS = 7
READS = 2_000


def best(ways):
    """Microseconds a read of each way, the best of alternating rounds."""
    found = {name: float("inf") for name in ways}
    for _ in range(ROUNDS):
        for name, (read, numbers) in ways.items():
            began = time.perf_counter()
            for i in numbers:
                read(i)
            found[name] = min(found[name], (time.perf_counter() - began) / len(numbers) * 1e6)
    return found


def mapped(path, name):
    """An array of a cache file as the README maps it, without this package."""
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo(name + ".npy").header_offset
    with open(path, "rb") as file:
        file.seek(start + 26)
        lengths = struct.unpack("<HH", file.read(4))
        file.seek(start + 30 + sum(lengths))
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        return np.memmap(path, dtype, "r", file.tell(), shape)


def main(directory, split="train"):
    windows = eegcache.Cache.open(directory).windows(split, 60, 10)
    owners = windows.index["recording"]
    owner = int(np.bincount(owners).argmax())
    windows = windows.select(owners == owner)
    recording = windows.recordings[owner]
    print(f"{recording.id}: {len(windows)} windows of {windows[0].shape[0]} × {windows[0].shape[1]}")

    with tempfile.TemporaryDirectory() as temporary:
        compressed = pathlib.Path(temporary) / f"{recording.id}_windows.npz"
        np.savez_compressed(compressed, windows=np.stack(windows[:]))
        stored = pathlib.Path(directory) / recording.signal.name
        memmap = mapped(stored, "signal")
        spans = [(int(row["start"]), int(row["start"] + row["length"])) for row in windows.index]

        def sliced(i):
            start, end = spans[i]
            return memmap[:, start:end]

        rng = np.random.default_rng(0)
        few = rng.integers(len(windows), size=2).tolist()
        many = rng.integers(len(windows), size=READS).tolist()
        times = best(
            {
                'np.load(f)["windows"][i]': (lambda i: np.load(compressed)["windows"][i], few),
                "np.memmap, a view": (sliced, many),
                "windows[i], a view": (windows.__getitem__, many),
                "np.memmap, copied": (lambda i: np.array(sliced(i)), many),
                "windows[i], copied": (lambda i: np.array(windows[i]), many),
            }
        )
    for name, microseconds in times.items():
        print(f"{name:<26} {microseconds:>14,.2f} µs")
    loaded = times['np.load(f)["windows"][i]']
    print(f"faster than the compressed layout: {loaded / times['windows[i], a view']:,.0f} times")
    print(f"faster, every sample copied: {loaded / times['windows[i], copied']:,.0f} times")
    for how in ("a view", "copied"):
        ratio = times[f"windows[i], {how}"] / times[f"np.memmap, {how}"]
        print(f"time beside np.memmap, {how}: {ratio:.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
