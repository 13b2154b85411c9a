"""Makes caches of windows as another program left them. Arguments: what, version directory of the model, target."""

import io
import json
import pickle
import struct
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np

what, cache, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
LENGTH, STRIDE = 15360, 2560
manifest = json.loads((cache / "manifest.json").read_text())
folders = {"train": "train", "val": "dev", "eval": "eval"}


def recordings():
    for entry in manifest["entries"]:
        with np.load(cache / entry["files"]["signal"]["name"]) as file:
            signal = file["signal"]
        with np.load(cache / entry["files"]["labels"]["name"]) as file:
            labels = file["labels"].astype(np.float32)
        starts = range(0, signal.shape[1] - LENGTH + 1, STRIDE)
        if len(starts):
            windows = np.stack([signal[:, s : s + LENGTH] for s in starts])
            yield entry, windows, np.stack([labels[s : s + LENGTH] for s in starts])


def save(folder, name, windows, labels, how):
    place = out / folder
    place.mkdir(parents=True, exist_ok=True)
    arrays = {"windows": windows} if labels is None else {"windows": windows, "labels": labels}
    if how == "compressed":
        np.savez_compressed(place / f"{name}_windows.npz", **arrays)
    elif how == "stored":
        np.savez(place / f"{name}_windows.npz", **arrays)
    else:
        np.save(place / f"{name}_data.npy", windows)
        if labels is not None:
            np.save(place / f"{name}_labels.npy", labels)


def listing(folder, windows):
    lists = {"partial_seizure": [], "full_seizure": [], "no_seizure": []}
    for name, labels in windows:
        for index, label in enumerate(labels):
            share = (label > 0).mean()
            kind = "no_seizure" if share == 0 else "full_seizure" if share >= 0.99 else "partial_seizure"
            lists[kind].append({"cache_file": name, "window_idx": index})
    (out / folder / "manifest.json").write_text(json.dumps(lists))


def whole(how):
    for entry, windows, labels in recordings():
        save(folders[entry["split"]], entry["id"], windows, labels, how)


def with_defect():
    # The three recordings of train with the most seizure samples are enough, and quick.
    train = [one for one in recordings() if one[0]["split"] == "train"]
    train = sorted(train, key=lambda one: -one[2].sum())[:3]
    assert train[0][2].sum() > 0
    listed = []
    for index, (entry, windows, labels) in enumerate(train):
        channels = "Fp1 F3 C3 P3 F7 T3 T5 O1 Fz Cz Pz Fp2 F4 C4 P4 F8 T4 T6 O2".split()
        name, own = entry["id"], labels.copy()
        if what == "zero-fz":
            windows[:, channels.index("Fz")] = 0
        elif what == "flat-cz":
            windows[:, channels.index("Cz")] = 0.25
        elif what == "not-finite":
            windows[:, 3] = np.nan
        elif what == "one-bit":
            # The last sample of the last window lies in no other.
            windows.view(np.uint32)[-1, -1, -1] ^= 1
        elif what == "overlap":
            windows[-1, 4, 0] += 1
            windows = windows if len(windows) > 1 else np.concatenate([windows, windows])
        elif what == "no-seizures":
            labels = np.zeros_like(labels)
        elif what == "shifted-labels":
            labels = np.ones_like(labels)
        elif what == "half-labels":
            labels = labels + 0.5
        elif what == "no-labels":
            labels = None
        elif what == "missing-tail":
            windows, labels, own = windows[:-1], labels[:-1], own[:-1]
        elif what == "stranger":
            name = f"stranger{index}"
        save("train", name, windows, labels, "pairs")
        if what == "two-splits":
            save("dev", name, windows, labels, "pairs")
        listed.append((f"{name}_data.npy", own))
    if what == "stale-manifest":
        listed = [(file, np.roll(labels, 1, axis=0) if labels.any() else labels[:1]) for file, labels in listed]
        listed.append(("absent_data.npy", np.zeros((2, 4))))
    if what in ("stale-manifest", "no-seizures"):
        listing("train", listed)


def header(descr, shape, fortran=False):
    text = f"{{'descr': {descr!r}, 'fortran_order': {fortran}, 'shape': {shape!r}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


class Evil:
    def __reduce__(self):
        return (open, (str(out.parent / "escaped"), "w"))


def npz(name, members, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(out / f"{name}_windows.npz", "w", method) as archive:
        for member, content in members:
            archive.writestr(member, content)


def hostile():
    out.mkdir(parents=True, exist_ok=True)
    one = np.zeros((1, 19, LENGTH), np.float32)
    buffer = io.BytesIO()
    np.save(buffer, one)
    good = buffer.getvalue()
    np.save(out / "object_data.npy", np.array([Evil()], dtype=object), allow_pickle=True)
    npz("object", [("windows.npy", header("|O", (1,)) + pickle.dumps(Evil()))])
    (out / "huge_data.npy").write_bytes(header("<f4", (10**12, 19, LENGTH)))
    (out / "overflow_data.npy").write_bytes(header("<f4", (2**62, 19, LENGTH)))
    (out / "fortran_data.npy").write_bytes(header("<f4", one.shape, True) + one.tobytes())
    (out / "big_endian_data.npy").write_bytes(header(">f4", one.shape) + one.tobytes())
    (out / "double_data.npy").write_bytes(header("<f8", one.shape) + one.astype("<f8").tobytes())
    (out / "int8_labels_data.npy").write_bytes(good)
    np.save(out / "int8_labels_labels.npy", np.zeros((1, LENGTH), np.int8))
    with (out / "version_data.npy").open("wb") as file:
        np.lib.format.write_array(file, one, version=(2, 0))
    (out / "cut_data.npy").write_bytes(good[:-1])
    (out / "empty_data.npy").write_bytes(b"")
    np.save(out / "other_shape_data.npy", np.zeros((2, 18, LENGTH), np.float32))
    npz("traversal", [("windows.npy", good), ("../../escaped", b"x")])
    npz("escaping_only", [("../escaped.npy", good)])
    (out / "text_windows.npz").write_bytes(b"<html>not found</html>" * 100)
    # A bomb: the directory and the array promise 100,000 windows, the member holds a few packed zeros.
    windows = 100_000
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(header("<f4", (windows, 19, LENGTH))) + packer.compress(bytes(1 << 24)) + packer.flush()
    size = 128 + windows * 19 * LENGTH * 4
    extra = struct.pack("<HHQQ", 1, 16, size, len(packed))
    shared = struct.pack("<HHHHHIIIHH", 45, 0, 8, 0, 33, 0, 2**32 - 1, 2**32 - 1, 11, len(extra))
    local = b"PK\x03\x04" + shared + b"windows.npy" + extra
    central = b"PK\x01\x02" + struct.pack("<H", 45) + shared + struct.pack("<HHHII", 0, 0, 0, 0, 0) + b"windows.npy" + extra
    position = len(local) + len(packed)
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), position, 0)
    (out / "bomb_windows.npz").write_bytes(local + packed + central + end)
    # A wrong checksum, as of a flipped bit.
    npz("flipped", [("windows.npy", good)])
    path = out / "flipped_windows.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


if what in ("compressed", "stored", "pairs"):
    whole(what)
elif what == "hostile":
    hostile()
else:
    with_defect()
