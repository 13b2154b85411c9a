#!/usr/bin/env python3
"""An independent check of a built cache: NumPy, SciPy and the standard library only, none of eegcache's code.

    check_cache.py CACHE_DIR DATASET_ROOT [--status STATUS_JSON] [--only N]

For every entry of the manifest it hashes the files, opens them with numpy.load, computes the signal again from the
recording (brain_brr: scipy.signal.resample, butter 3, iirnotch, z-score, clip) and compares every sample, makes the labels again
from the `.csv` with exact decimals, and counts windows by class. Recordings with interpolated channels are compared on
their recorded channels (MNE is the oracle for interpolation, see make_golden.py). Prints one line a figure; exits 1 on any
difference. Tested with Python 3.11, NumPy 2.4, SciPy 1.17.
"""
import csv
import hashlib
import json
import os
import sys
from decimal import Decimal
from fractions import Fraction

import numpy as np
import scipy.signal as ss

ORDER = "Fp1 F3 C3 P3 F7 T3 T5 O1 Fz Cz Pz Fp2 F4 C4 P4 F8 T4 T6 O2".split()
SYNONYMS = {"T7": "T3", "T8": "T4", "P7": "T5", "P8": "T6"}
SEIZURE = set("seiz gnsz fnsz cpsz absz spsz tcsz tnsz mysz".split())
RATE, LENGTH, STRIDE = 256, 15360, 2560


def header(raw):
    """The fields of an EDF header that are needed, by the specification of Kemp et al. (1992)."""
    n = int(raw[252:256])
    at = [256]

    def column(width):
        start = at[0]
        at[0] += n * width
        return [raw[start + i * width: start + (i + 1) * width].decode("latin-1").strip() for i in range(n)]

    labels, _, units = column(16), column(80), column(8)
    pmin, pmax, dmin, dmax = (list(map(float, column(8))) for _ in range(4))
    column(80)
    per_record = list(map(int, column(8)))
    return int(raw[184:192]), int(raw[236:244]), Fraction(raw[244:252].decode().strip()), labels, units, pmin, pmax, dmin, dmax, per_record


def key(label):
    name = label.replace(" ", "").upper()
    name = name[3:] if name.startswith("EEG") and len(name) > 3 else name
    for suffix in ("-REF", "-LE", "-AR", "-AVG"):
        if name.endswith(suffix):
            name = name[: -len(suffix)]
            break
    return SYNONYMS.get(name, name)


def recorded(path):
    """µV rounded to float32, by channel name, with each channel's rate."""
    raw = open(path, "rb").read()
    offset, records, duration, labels, units, pmin, pmax, dmin, dmax, per_record = header(raw)
    data = np.frombuffer(raw, "<i2", records * sum(per_record), offset).reshape(records, -1)
    starts = np.concatenate([[0], np.cumsum(per_record)])
    channels = {}
    for i, label in enumerate(labels):
        gain = (pmax[i] - pmin[i]) / (dmax[i] - dmin[i]) if dmax[i] != dmin[i] else 0.0
        digital = data[:, starts[i]: starts[i + 1]].reshape(-1).astype(np.float64)
        unit = {"uV": 1.0, "mV": 1e3, "V": 1e6, "nV": 1e-3}.get(units[i].replace("\xb5", "u"), 1.0)
        x = (gain * digital + (pmin[i] - gain * dmin[i])) * unit
        channels.setdefault(key(label), (x.astype(np.float32).astype(np.float64), Fraction(per_record[i]) / duration))
    return channels


def brain_brr(x, rate):
    if rate != RATE:
        x = ss.resample(x, round(Fraction(len(x)) * RATE / rate))
    b, a = ss.butter(3, [0.5, 120.0], btype="band", fs=RATE)
    x = ss.lfilter(b, a, x)
    b, a = ss.iirnotch(60.0, 30.0, fs=RATE)
    x = ss.lfilter(b, a, x)
    x = (x - x.mean()) / (x.std() + 1e-8)
    return np.nan_to_num(np.clip(x, -10, 10)).astype(np.float32)


def labels(path, n):
    y = np.zeros(n, np.uint8)
    rows = [row for row in csv.reader(open(path)) if len(row) >= 4 and not row[0].startswith("#") and row[0] != "channel"]
    for row in rows:
        if row[3].strip() in SEIZURE:
            start, stop = (int(Decimal(t) * RATE // 1) for t in row[1:3])
            y[max(start, 0): min(stop, n)] = 1
    return y


def classes(y):
    counts = [0, 0, 0]
    for i in range(0 if len(y) < LENGTH else (len(y) - LENGTH) // STRIDE + 1):
        s = int(y[i * STRIDE: i * STRIDE + LENGTH].sum())
        counts[0 if s == 0 else 2 if 100 * s >= 99 * LENGTH else 1] += 1
    return counts


def main():
    arguments = [a for a in sys.argv[1:] if not a.startswith("--")]
    cache, root = arguments[0], arguments[1]
    manifest = json.load(open(os.path.join(cache, "manifest.json")))
    worst, wrong, windows = 0.0, [], {}
    for entry in manifest["entries"]:
        files = [f for f in (entry["files"]["signal"], entry["files"].get("labels")) if f]
        for f in files:
            content = open(os.path.join(cache, f["name"]), "rb").read()
            if len(content) != f["bytes"] or hashlib.sha256(content).hexdigest() != f["sha256"]:
                wrong.append(f"{f['name']}: bytes or sha256")
        source = os.path.join(root, entry["source"]["path"])
        if hashlib.sha256(open(source, "rb").read()).hexdigest() != entry["source"]["sha256"]:
            wrong.append(f"{entry['id']}: source sha256")
        with np.load(os.path.join(cache, files[0]["name"])) as npz:
            signal, names, rate = npz["signal"], list(npz["channels"]), float(npz["rate_hz"])
            arrays = {name: npz[name] for name in ("signal", "channels", "rate_hz", "scale")}
            facts = json.loads(npz["entry.json"])
        for name, digest in facts["arrays"].items():
            if hashlib.sha256(arrays[name].tobytes()).hexdigest() != digest:
                wrong.append(f"{entry['id']}: sha256 of {name}")
        if names != ORDER or rate != RATE or signal.shape != (19, entry["samples"]) or signal.dtype != np.float32:
            wrong.append(f"{entry['id']}: {names} {rate} {signal.shape} {signal.dtype}")
        if not np.isfinite(signal).all():
            wrong.append(f"{entry['id']}: not finite")
        channels = recorded(source)
        for row, name in enumerate(ORDER):
            if name in entry["interpolated"]:
                continue
            difference = float(np.abs(signal[row] - brain_brr(*channels[name.upper()])).max())
            worst = max(worst, difference)
            if difference > 1e-5:
                wrong.append(f"{entry['id']} {name}: differs by {difference}")
        y = labels(source[: source.rindex(".")] + ".csv", entry["samples"])
        with np.load(os.path.join(cache, files[1]["name"])) as npz:
            if not np.array_equal(npz["labels"], y) or npz["labels"].dtype != np.uint8:
                wrong.append(f"{entry['id']}: labels differ in {int((npz['labels'] != y).sum())} samples")
        counts = windows.setdefault(entry["split"], [0, 0, 0])
        windows[entry["split"]] = [a + b for a, b in zip(counts, classes(y))]
    print(f"entries {len(manifest['entries'])}")
    print(f"largest difference {worst:.3g}")
    for split, counts in sorted(windows.items()):
        print(f"windows {split} none {counts[0]} partial {counts[1]} full {counts[2]}")
    if "--status" in sys.argv:
        status = json.load(open(arguments[2]))
        for split, counts in windows.items():
            said = status["profiles"][0]["splits"][split]["windows"]
            if [said["none"], said["partial"], said["full"]] != counts:
                wrong.append(f"status says {said} for {split}, counted {counts}")
    for line in wrong:
        print("wrong:", line)
    print("wrong 0" if not wrong else f"wrong {len(wrong)}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
