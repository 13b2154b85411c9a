"""Compares an export with the cache that it was made from. Arguments: version directory, export, expectations."""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

cache, out = Path(sys.argv[1]), Path(sys.argv[2])
expect = json.loads(Path(sys.argv[3]).read_text())
layout, length, stride, report = (expect[key] for key in ("layout", "length", "stride", "report"))
manifest = json.loads((cache / "manifest.json").read_text())
directory = {"train": "train", "val": "dev" if layout == "brain-brr" else "val", "eval": "eval"}
endings = ["_windows.npz"] if layout == "windows" else ["_data.npy", "_labels.npy"]
seen, classes = set(), {}

for entry in manifest["entries"]:
    split, name = directory[entry["split"]], entry["id"]
    with np.load(cache / entry["files"]["signal"]["name"]) as file:
        signal = file["signal"].astype(np.float32)
    with np.load(cache / entry["files"]["labels"]["name"]) as file:
        labels = file["labels"].astype(np.float32)
    n = 0 if signal.shape[1] < length else (signal.shape[1] - length) // stride + 1
    paths = [out / split / (name + ending) for ending in endings]
    if n == 0:
        assert name in report["without_windows"] and not any(path.exists() for path in paths), name
        continue
    seen.update(str(path.relative_to(out)) for path in paths)
    if layout == "windows":
        with np.load(paths[0]) as file:
            assert sorted(file.files) == ["labels", "windows"], file.files
            windows, window_labels = file["windows"], file["labels"]
    else:
        windows, window_labels = (np.load(path, mmap_mode="r") for path in paths)
        assert all(isinstance(array, np.memmap) for array in (windows, window_labels))
    assert windows.dtype == window_labels.dtype == np.dtype("<f4"), (windows.dtype, window_labels.dtype)
    assert windows.shape == (n, signal.shape[0], length) and window_labels.shape == (n, length), windows.shape
    for i in range(n):
        assert np.array_equal(windows[i], signal[:, i * stride : i * stride + length]), (name, i)
        assert np.array_equal(window_labels[i], labels[i * stride : i * stride + length]), (name, i)
        share = (window_labels[i] > 0).mean()
        kind = "no_seizure" if share == 0 else "full_seizure" if share >= 0.99 else "partial_seizure"
        classes.setdefault(split, {}).setdefault(kind, []).append((paths[0].name, i))

# Each array is the one whose SHA-256 is on record.
records = [json.loads(line) for line in (out / ".eegcache-export.jsonl").read_text().splitlines()[1:]]
for record in records:
    loaded = np.load(out / record["name"])
    single = "labels" if record["name"].endswith("_labels.npy") else "data"
    arrays = dict(loaded) if layout == "windows" else {single: loaded}
    assert {name: hashlib.sha256(array).hexdigest() for name, array in arrays.items()} == record["arrays"], record
assert {record["name"] for record in records} == seen

found = {str(path.relative_to(out)) for path in out.rglob("*.np[yz]")}
assert found == seen, found ^ seen
for split, counts in report["splits"].items():
    own = classes.get(split, {})
    numbers = {kind: len(own.get(kind, [])) for kind in ("no_seizure", "partial_seizure", "full_seizure")}
    assert list(numbers.values()) == [counts["windows"][kind] for kind in ("none", "partial", "full")], (split, counts)

if layout == "brain-brr":
    assert json.loads((out / ".cache_metadata.json").read_text())["split_policy"] == "official_tusz"
    for split in directory.values():
        place = out / split
        assert json.loads((place / ".cache_metadata.json").read_text())["split_policy"] == "official_tusz"
        lists = json.loads((place / "manifest.json").read_text())
        assert sorted(lists) == ["full_seizure", "no_seizure", "partial_seizure"]
        for kind, windows in lists.items():
            assert all(sorted(window) == ["cache_file", "window_idx"] for window in windows)
            listed = [(window["cache_file"], window["window_idx"]) for window in windows]
            assert listed == sorted(classes.get(split, {}).get(kind, [])), (split, kind)
            # As the loaders open them.
            for name, index in listed:
                data = np.load(place / name, mmap_mode="r")
                label = np.load(place / name.replace("_data.npy", "_labels.npy"), mmap_mode="r")
                assert data[index].shape[1] == label[index].shape[0] == length
        index = json.loads((place / "_dataset_index.json").read_text())
        assert index["files"] == sorted(index["files"]) and len(index["files"]) == len(index["window_counts"])
        total = sum(len(windows) for windows in lists.values())
        assert sum(index["window_counts"]) == total == sum(report["splits"][split]["windows"].values())
