#!/usr/bin/env python3
"""An independent check of a built cache: NumPy, SciPy and the standard library, MNE where it is installed; none of eegcache's code.

    check_cache.py CACHE_DIR DATASET_ROOT [STATUS_JSON]

For every entry of the manifest it hashes the files, takes their ZIP containers apart, opens them with numpy.load, computes the signal
again from the recording (brain_brr: scipy.signal.resample, butter 3, iirnotch, z-score, clip; channels, `init` and dtype as the manifest's recipe
says, EDF and BDF) and compares every sample and the scale, makes the labels again from the `.csv` with exact decimals, compares them with the events, and counts windows by class. Quality (flat, saturated, mains, clipped, early variance) is measured again.
Interpolated channels are compared with MNE's interpolate_bads; without MNE they are counted and left out. With a status (`status --profile P --json`)
its counts, seconds and bytes are compared as well. Prints one line a figure; exits 1 on any difference.
Tested with Python 3.11, NumPy 2.4, SciPy 1.17, MNE 1.13.
"""
import csv
import hashlib
import json
import os
import struct
import sys
import zipfile
from decimal import Decimal
from fractions import Fraction

import numpy as np
import scipy.signal as ss

try:
    import mne
    mne.set_log_level("ERROR")
except ImportError:
    mne = None

SYNONYMS = {"T7": "T3", "T8": "T4", "P7": "T5", "P8": "T6"}
SEIZURE = set("seiz gnsz fnsz cpsz absz spsz tcsz tnsz mysz".split())
RATE, LENGTH, STRIDE = 256, 15360, 2560
# The sphere's centre is a constant (EEG_FACTS section 1); MNE would fit one to the channels of each recording.
CENTRE_M = np.array([-0.9165, 15.8084, 45.3800]) / 1000


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


def samples(raw, offset, records, width):
    """Records × samples: 16 bits of EDF, or 24 bits of BDF, whose first byte is 0xFF."""
    if raw[0] != 0xFF:
        return np.frombuffer(raw, "<i2", records * width, offset).reshape(records, -1)
    low, middle, high = np.frombuffer(raw, "u1", 3 * records * width, offset).reshape(-1, 3).astype(np.int32).T
    return ((low | middle << 8 | high << 16) - ((high >> 7) << 24)).reshape(records, -1)


def recorded(path):
    """µV rounded to float32, by channel name, with each channel's rate and whether its raw samples are all equal; and label, samples, limits."""
    raw = open(path, "rb").read()
    offset, records, duration, labels, units, pmin, pmax, dmin, dmax, per_record = header(raw)
    data = samples(raw, offset, records, sum(per_record))
    starts = np.concatenate([[0], np.cumsum(per_record)])
    channels, raws = {}, {}
    for i, label in enumerate(labels):
        gain = (pmax[i] - pmin[i]) / (dmax[i] - dmin[i]) if dmax[i] != dmin[i] else 0.0
        digital = data[:, starts[i]: starts[i + 1]].reshape(-1).astype(np.float64)
        unit = {"uV": 1.0, "mV": 1e3, "V": 1e6, "nV": 1e-3}.get(units[i].replace("\xb5", "u"), 1.0)
        x = (gain * digital + (pmin[i] - gain * dmin[i])) * unit
        flat = bool((digital == digital[0]).all())
        raws.setdefault(key(label), (label, digital, (dmin[i], dmax[i])))
        channels.setdefault(key(label), (x.astype(np.float32).astype(np.float64), Fraction(per_record[i]) / duration, flat))
    return channels, raws


def interpolated(channels, missing):
    """The missing channels, in µV at Cz's rate, from every recorded channel that has a position and is not flat."""
    positions = {name.upper(): name for name in mne.channels.make_standard_montage("standard_1020").ch_names}
    rate = channels["CZ"][1]
    names = [n for n, (_, r, flat) in channels.items() if n in positions and r == rate and not flat and n not in missing]
    x = np.stack([channels[n][0] for n in names] + [np.full(len(channels["CZ"][0]), 12345.0) for _ in missing])
    raw = mne.io.RawArray(x * 1e-6, mne.create_info([positions[n] for n in names + missing], float(rate), "eeg"))
    raw.set_montage("standard_1020")
    raw.info["bads"] = [positions[n] for n in missing]
    raw.interpolate_bads(reset_bads=True, mode="accurate", method="spline", origin=CENTRE_M)
    return {n: (raw.get_data(picks=[positions[n]])[0] * 1e6, rate, False) for n in missing}


def brain_brr(x, rate, first_sample, limit=10):
    start = lambda x: x - x[0] if first_sample else x
    if rate != RATE:
        x = ss.resample(x, round(Fraction(len(x)) * RATE / rate))
    b, a = ss.butter(3, [0.5, 120.0], btype="band", fs=RATE)
    x = ss.lfilter(b, a, start(x))
    b, a = ss.iirnotch(60.0, 30.0, fs=RATE)
    x = ss.lfilter(b, a, start(x))
    centre, divisor = x.mean(), x.std() + 1e-8
    return np.nan_to_num(np.clip((x - centre) / divisor, -limit, limit)).astype(np.float32), centre, divisor


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


def container(path):
    """Everything that is wrong with the ZIP archive: it must be stored, dated 1980-01-01, aligned, with sizes in the local headers."""
    raw = open(path, "rb").read()
    members = zipfile.ZipFile(path).infolist()
    wrong = [] if members[-1].filename == "entry.json" else [f"last member {members[-1].filename}"]
    for member in members:
        at = member.header_offset
        flags, method, clock, date, crc, packed, size, name, extra = struct.unpack("<4xxxHHHHIIIHH", raw[at: at + 30])
        start = at + 30 + name + extra
        wide = 0xFFFFFFFF in (packed, size)
        if flags & 8 or method or (clock, date) != (0, 33) or crc != member.CRC or not (wide or packed == size == member.file_size):
            wrong.append(f"local header of {member.filename}")
        if member.filename.endswith(".npy"):
            if raw[start: start + 8] != b"\x93NUMPY\x01\x00":
                wrong.append(f"{member.filename} is no .npy 1.0")
            if (start + 10 + struct.unpack("<H", raw[start + 8: start + 10])[0]) % 64:
                wrong.append(f"array of {member.filename} is not aligned")
    return wrong


def open_file(cache, record, say):
    """The arrays and facts of a finished file, every digest compared."""
    path = os.path.join(cache, record["name"])
    content = open(path, "rb").read()
    if len(content) != record["bytes"] or hashlib.sha256(content).hexdigest() != record["sha256"]:
        say(f"{record['name']}: bytes or sha256")
    for defect in container(path):
        say(f"{record['name']}: {defect}")
    with np.load(path) as npz:
        facts = json.loads(npz["entry.json"])
        arrays = {name: npz[name] for name in npz.files if name != "entry.json"}
    for name, digest in facts["arrays"].items():
        if hashlib.sha256(np.ascontiguousarray(arrays[name]).tobytes()).hexdigest() != digest:
            say(f"{record['name']}: sha256 of {name}")
    if set(facts["arrays"]) != set(arrays):
        say(f"{record['name']}: arrays {sorted(arrays)}")
    return arrays, facts


def check_signal(cache, root, entry, manifest, say):
    """Returns the largest difference and the number of channels that could not be compared."""
    arrays, facts = open_file(cache, entry["files"]["signal"], say)
    signal, names, rate = arrays["signal"], list(arrays["channels"]), float(arrays["rate_hz"])
    source = os.path.join(root, entry["source"]["path"])
    digest = hashlib.sha256(open(source, "rb").read()).hexdigest()
    if digest != entry["source"]["sha256"] or digest != facts["source_sha256"] or facts["fingerprint"] != manifest["identity"]["signal"]:
        say("sha256 of the source, or fingerprint")
    recipe = manifest["recipe"]["signal"]
    order, dtype = recipe["channels"]["order"], np.dtype(recipe["dtype"])
    first_sample = recipe["steps"][1]["bandpass"]["phase"]["causal"] == "first_sample"
    if names != order or rate != RATE or signal.shape != (len(order), entry["samples"]) or signal.dtype != dtype:
        say(f"{names} {rate} {signal.shape} {signal.dtype}")
    channels, raws = recorded(source)
    absent = [name for name in order if key(name) not in channels]
    if sorted(absent) != sorted(entry["interpolated"]):
        say(f"interpolated {entry['interpolated']}, absent {absent}")
    if absent and mne:
        channels.update(interpolated(channels, [key(name) for name in absent]))
    # A float16 may fall to either side of a half: one unit at 10 is 2⁻⁷.
    early = {}
    # Read for interpolation: whatever has a position, at Cz's rate.
    sources = {name.upper() for name in mne.channels.make_standard_montage("standard_1020").ch_names} if mne and absent else set()
    picked = [n for n in raws if n in map(key, order) or n in sources and channels[n][1] == channels["CZ"][1]]
    worst, tolerance = 0.0, 1e-5 if dtype == np.float32 else 2.0 ** -7
    for row, name in enumerate(order):
        if key(name) not in channels:
            continue
        expected, centre, divisor = brain_brr(*channels[key(name)][:2], first_sample)
        difference = float(np.abs(signal[row].astype(np.float32) - expected.astype(dtype)).max()) if len(expected) == signal.shape[1] else np.inf
        scale = np.abs(arrays["scale"][row] - (centre, divisor)).max() / divisor
        worst = max(worst, difference)
        if difference > tolerance or scale > 1e-5:
            say(f"{name}: differs by {difference}, scale by {scale}")
        early[name] = early_share(channels[key(name)], first_sample)
    said = entry["quality"] if entry["quality"] == facts["quality"] else {}
    for name, share in early.items():
        if abs(said.get("early_variance", {}).get(name, -1) - share) > 1e-3:
            say(f"early variance of {name}: {share}")
    if mne or not absent:
        check_quality(said, [(*raws[n], channels[n][1]) for n in picked if n in raws], say)
    clipped = float(np.mean(np.abs(signal.astype(np.float32)) >= 10))
    if abs(said.get("clipped", -1) - clipped) > 1e-6:
        say(f"clipped {said.get('clipped')}, found {clipped}")
    return worst, len([name for name in absent if key(name) not in channels])


def early_share(channel, first_sample):
    """The share of a channel's variance that lies in its first 5 s, behind the last filter."""
    z, centre, divisor = brain_brr(*channel[:2], first_sample, limit=np.inf)
    z = z.astype(np.float64)
    return float((z[: 5 * RATE] ** 2).sum() / (z ** 2).sum())


def mains_ratio(x, rate, hertz):
    """Power at a frequency over the mean power 3 to 5 Hz beside it, over at most 16 Hann windows of 2 s; None where it cannot be told."""
    length = int(2 * rate)
    count = min(16, len(x) // length) if length else 0
    if count < 4 or rate <= 2 * (hertz + 5) or (x == x[0]).all():
        return None
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    step = (len(x) - length) // (count - 1)
    windows = np.stack([x[i * step: i * step + length] for i in range(count)])
    windows = (windows - windows.mean(axis=1, keepdims=True)) * hann
    power = lambda f: (np.abs(windows @ np.exp(-2j * np.pi * float(f / rate) * np.arange(length))) ** 2).sum()
    return power(hertz) * 6 / sum(power(hertz + d) for d in (-5, -4, -3, 3, 4, 5))


def check_quality(said, picked, say):
    """`picked`: label, digital samples, digital limits and rate of each channel that was read."""
    saturated = {label: float(np.mean((x[1:] == x[:-1]) & np.isin(x[1:], limits))) for label, x, limits, _ in picked}
    saturated = {label: share for label, share in saturated.items() if share}
    if said.get("saturated", {}).keys() != saturated.keys() or any(abs(said["saturated"][k] - v) > 1e-6 for k, v in saturated.items()):
        say(f"saturated {said.get('saturated')}, found {saturated}")
    flat = [label for label, x, _, _ in picked if (x == x[0]).all()]
    if sorted(said.get("flat", [])) != sorted(flat):
        say(f"flat {said.get('flat')}, found {flat}")
    medians = {}
    for hertz in (50, 60):
        ratios = sorted(r for _, x, _, rate in picked if (r := mains_ratio(x, rate, hertz)) is not None)
        if ratios:
            medians[hertz] = ratios[len(ratios) // 2]
    ratio = max(medians.values(), default=None)
    mains = max(medians, key=medians.get) if ratio is not None and ratio >= 4 else None
    if said.get("mains_hz") != mains or (ratio is None) != (said.get("mains_ratio") is None) or \
            ratio is not None and abs(said["mains_ratio"] - ratio) > 1e-6 * max(1, ratio):
        say(f"mains {said.get('mains_hz')} {said.get('mains_ratio')}, found {mains} {ratio}")


def check_labels(cache, root, entry, identity, say):
    """Returns the labels, made again."""
    arrays, facts = open_file(cache, entry["files"]["labels"], say)
    source = os.path.join(root, entry["source"]["path"])
    y = labels(source[: source.rindex(".")] + ".csv", entry["samples"])
    if arrays["labels"].dtype != np.uint8 or not np.array_equal(arrays["labels"], y):
        say(f"labels differ in {int((arrays['labels'] != y).sum())} samples")
    of_events = np.zeros_like(y)
    for event in entry["events"]:
        of_events[event["start"]: event["end"]] = 1
    if not np.array_equal(of_events, y):
        say("the events say something else than the labels")
    if entry["annotation"]["status"] != ("labelled" if y.any() else "labelled-empty") or facts["fingerprint"] != identity["labels"]:
        say(f"status {entry['annotation']['status']}, or fingerprint")
    for file, digest in zip(entry["annotation"]["files"], facts["annotation_sha256"], strict=True):
        if hashlib.sha256(open(os.path.join(root, file["path"]), "rb").read()).hexdigest() != digest or digest != file["sha256"]:
            say(f"sha256 of {file['path']}")
    return y


def compare_status(status, manifest, figures, say):
    splits = next(p["splits"] for p in status["profiles"] if p["profile"] == manifest["profile"])
    for split, said in splits.items():
        counted = figures.get(split, {"classes": [0, 0, 0], "have": 0, "bytes": 0, "seconds": 0.0, "seizure_seconds": 0.0})
        classes = [said["windows"][kind] for kind in ("none", "partial", "full")]
        if classes != counted["classes"] or any(abs(said[k] - counted[k]) > 1e-6 for k in counted if k != "classes"):
            say(f"status says {said} for {split}, counted {counted}")


def main():
    cache, root = sys.argv[1:3]
    manifest = json.load(open(os.path.join(cache, "manifest.json")))
    worst, skipped, wrong, figures = 0.0, 0, [], {}
    for entry in manifest["entries"]:
        say = lambda text: wrong.append(f"{entry['id']}: {text}")
        difference, left = check_signal(cache, root, entry, manifest, say)
        worst, skipped = max(worst, difference), skipped + left
        figure = figures.setdefault(entry["split"], {"classes": [0, 0, 0], "have": 0, "bytes": 0, "seconds": 0.0, "seizure_seconds": 0.0})
        figure["have"] += 1
        figure["bytes"] += sum(file["bytes"] for file in entry["files"].values() if file)
        if entry["annotation"]["status"] == "unlabelled":
            continue
        y = check_labels(cache, root, entry, manifest["identity"], say)
        figure["classes"] = [a + b for a, b in zip(figure["classes"], classes(y))]
        figure["seconds"] += len(y) / RATE
        figure["seizure_seconds"] += int(y.sum()) / RATE
    print(f"entries {len(manifest['entries'])}")
    print(f"largest difference {worst:.3g}")
    print(f"interpolated channels left out {skipped}" + ("" if mne else " (no mne)"))
    for split, figure in sorted(figures.items()):
        print(f"windows {split} none {figure['classes'][0]} partial {figure['classes'][1]} full {figure['classes'][2]}")
    if len(sys.argv) > 3:
        compare_status(json.load(open(sys.argv[3])), manifest, figures, wrong.append)
    for line in wrong:
        print("wrong:", line)
    print(f"wrong {len(wrong)}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
