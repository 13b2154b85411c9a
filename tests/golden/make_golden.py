#!/usr/bin/env python3
"""Makes tests/golden/data: what NumPy, SciPy and MNE-Python make of small recordings.

Made with Python 3.11, numpy 2.4.6, scipy 1.17.1, mne 1.13.2 (`cases.json` repeats the versions that really ran).

  make_golden.py               writes data/ beside this file
  make_golden.py --electrodes  prints the table of src/dsp/electrodes.rs

Input is always int16 samples; microvolts are float32(gain * sample + offset), then float64 (EEG_FACTS section 1). The arrays lie one behind the other in
`int16.npy` (inputs), `float32.npy` and `float64.npy` (results); `cases.json` says for every case where, and its parameters:

  recipe         the origin's whole pipeline, float32, every sample (tolerance 1e-5 after z-score)
  interpolation  MNE's interpolate_bads with its own positions and its own fit of the sphere (`origin="auto"`), float64, microvolts (tolerance
                 1e-5 of the largest value: the constants of src/dsp/electrodes.rs are rounded)
  spline         the same with the positions and the centre of src/dsp/electrodes.rs, whichever and however few the electrodes (1e-9). MNE left
                 alone fits a sphere to the electrodes of each recording: `auto_differs` says how far that is from it, as a share of the largest value
  step           one step on one channel, float64 (tolerance 1e-9 of the largest value)
  reference      average or bipolar reference over several channels, float64 (tolerance 1e-9 of the largest value)
"""
import json
import pathlib
import re
import sys
from fractions import Fraction

import mne
import numpy as np
import scipy
import scipy.signal as ss

mne.set_log_level("ERROR")
DATA = pathlib.Path(__file__).parent / "data"
ELECTRODES = pathlib.Path(__file__).parents[2] / "src/dsp/electrodes.rs"
ORDER = "Fp1 F3 C3 P3 F7 T3 T5 O1 Fz Cz Pz Fp2 F4 C4 P4 F8 T4 T6 O2".split()
GAIN, OFFSET = 0.1, 12.5
CASES = {"versions": {"numpy": np.__version__, "scipy": scipy.__version__, "mne": mne.__version__},
         "gain_uv": GAIN, "offset_uv": OFFSET, "recipe": [], "interpolation": [], "spline": [], "step": [], "reference": []}
STORES = {"int16": [], "float32": [], "float64": []}


def digital(channels, samples, rate, seed):
    """Slow drift, alpha, mains and noise over an offset, a different one a channel."""
    rng = np.random.default_rng(seed)
    t = np.arange(samples) / float(rate)
    drift = np.cumsum(rng.standard_normal((channels, samples)), axis=1) * 2
    phase = rng.uniform(0, 2 * np.pi, (channels, 3, 1))
    waves = 300 * np.sin(2 * np.pi * 10 * t + phase[:, 0]) + 120 * np.sin(2 * np.pi * 60 * t + phase[:, 1]) \
        + 200 * np.sin(2 * np.pi * 1.5 * t + phase[:, 2])
    x = drift + waves + 80 * rng.standard_normal((channels, samples)) + rng.uniform(-900, 900, (channels, 1))
    return np.clip(np.round(x), -32768, 32767).astype(np.int16)


def microvolts(samples):
    return (GAIN * samples.astype(np.float64) + OFFSET).astype(np.float32).astype(np.float64)


def save(array):
    """Appends an array to the store of its type; returns where it lies there: first index and length."""
    store = STORES[array.dtype.name]
    begin = sum(len(part) for part in store)
    store.append(np.ravel(array))
    return [begin, array.size]


def fft_length(samples, old, new):
    return round(samples * Fraction(new) / Fraction(old))  # round() of a fraction is half to even


def brain_brr(x, rate):
    if rate != 256:
        x = ss.resample(x, fft_length(x.shape[1], rate, 256), axis=1)
    x = ss.lfilter(*ss.butter(3, [0.5, 120.0], btype="band", fs=256), x, axis=1)
    x = ss.lfilter(*ss.iirnotch(60.0, 30.0, fs=256), x, axis=1)
    x = (x - x.mean(axis=1, keepdims=True)) / (x.std(axis=1, keepdims=True) + 1e-8)
    return np.nan_to_num(np.clip(x, -10, 10)).astype(np.float32)


def recipe_cases():
    # Odd lengths, primes and twice a prime among them: 4801, 12007 and 3001 are prime, 6145 = 5 * 1229.
    for rate, samples in [(250, 3000), (250, 2 * 1201), (256, 3072), (400, 4801), (500, 6002), (512, 6145), (1000, 12007)]:
        raw = digital(2, samples, rate, seed=samples)
        name = f"recipe_{rate}_{samples}"
        CASES["recipe"].append({"name": name, "rates": [str(rate)] * 2, "channels": ["Fp1", "Cz"], "labels": ["EEG FP1-REF", "EEG CZ-REF"],
                                "digital": [save(raw[i]) for i in range(2)],
                                "expected": save(brain_brr(microvolts(raw), rate))})
    rates, labels = [256, 512, 200, 100], ["Cz", "Fp1", "O2", "T4"]
    raws = [digital(1, 12 * rate, rate, seed=rate)[0] for rate in rates]
    outs = np.concatenate([brain_brr(microvolts(raw)[None], rate) for raw, rate in zip(raws, rates)])
    CASES["recipe"].append({"name": "recipe_mixed", "rates": [str(r) for r in rates], "channels": labels, "labels": labels,
                            "digital": [save(raw) for raw in raws],
                            "expected": save(outs)})


def mne_raw(names, x, rate):
    raw = mne.io.RawArray(x * 1e-6, mne.create_info(names, rate, "eeg"))
    raw.set_montage("standard_1020", match_case=False)
    return raw


def interpolate(names, x, missing, rate):
    """What MNE makes of the missing channels, whose samples it must not see."""
    blind = x.copy()
    blind[[names.index(m) for m in missing]] = 12345.0
    raw = mne_raw(names, blind, rate)
    raw.info["bads"] = list(missing)
    raw.interpolate_bads(reset_bads=True, mode="accurate", method="spline")
    return raw.get_data(picks=names) * 1e6


def interpolation_cases():
    rate, samples, names = 256, 1024, ORDER + ["A1", "A2"]
    raw = digital(len(names), samples, rate, seed=11)
    files = {n: save(raw[i]) for i, n in enumerate(names)}
    x = microvolts(raw)
    for ears, missing in [(False, ["Fz"]), (False, ["Fz", "Pz"]), (False, ["Pz"]), (True, ["Fz"]), (True, ["Fz", "Pz"])]:
        use = names if ears else ORDER
        full = interpolate(use, x[: len(use)], missing, rate)
        name = "interpolation_" + "_".join(missing) + ("_ears" if ears else "")
        present = [n for n in use if n not in missing]
        CASES["interpolation"].append({"name": name, "missing": missing, "rate": str(rate), "labels": present,
                                       "digital": [files[n] for n in present],
                                       "expected": save(full[[use.index(m) for m in missing]][:, ::4]), "every": 4})
        if ears and missing == ["Fz"]:
            CASES["recipe"].append({"name": "recipe_interpolated", "rates": [str(rate)] * len(present), "channels": ORDER,
                                    "labels": [f"EEG {n.upper()}-LE" for n in present], "digital": [files[n] for n in present],
                                    "expected": save(brain_brr(full[:19], rate))})


def step(name, rate, samples, parameters, run, seed=5):
    raw = digital(1, samples, float(Fraction(rate)), seed)[0]
    CASES["step"].append({"name": name, "rate": str(rate), "digital": save(raw),
                          "expected": save(run(microvolts(raw))), **parameters})


def resample_cases():
    fft = [("250", "256", 1250), ("250", "256", 1201), ("512", "256", 2 * 601), ("512", "256", 1203), ("256", "250", 1031), ("256", "250", 1024),
           ("100", "256", 397), ("100", "256", 400), ("1000", "256", 2003), ("999/5", "256", 999), ("256", "128", 1001), ("1", "256", 7), ("512", "256", 2 * 600), ("500", "250", 2 * 1001)]
    for old, new, n in fft:
        step(f"fft_{old.replace('/', 'over')}_{new}_{n}", old, n, {"step": "fft", "new_rate": new},
             lambda x, old=old, new=new: ss.resample(x, fft_length(len(x), Fraction(old), Fraction(new))))
    for old, new, n in [("250", "256", 1201), ("256", "250", 1000), ("512", "256", 1001), ("1000", "256", 1999), ("400", "256", 1001),
                        ("100", "256", 399), ("999/5", "256", 700), ("500", "256", 13), ("256", "512", 301)]:
        f = Fraction(new) / Fraction(old)
        step(f"poly_{old.replace('/', 'over')}_{new}_{n}", old, n, {"step": "polyphase", "new_rate": new},
             lambda x, f=f: ss.resample_poly(x, f.numerator, f.denominator))


def filter_cases():
    def run(sos, phase):
        if phase == "zero":
            return lambda x: ss.sosfiltfilt(sos, x)
        return lambda x: ss.sosfilt(sos, x - x[0] if phase == "causal_first_sample" else x)

    for rate, band, edges, order, phase, n in [
            (256, "bandpass", [0.5, 120.0], 3, "causal_zero", 1100), (256, "bandpass", [0.5, 120.0], 4, "zero", 1100),
            (250, "bandpass", [0.5, 120.0], 4, "zero", 28), (512, "bandpass", [0.5, 120.0], 4, "causal_first_sample", 1100),
            (1000, "bandpass", [1.0, 40.0], 5, "zero", 1100), (200, "bandpass", [8.0, 12.0], 2, "causal_zero", 900), (256, "bandpass", [0.1, 70.0], 1, "zero", 900),
            (256, "highpass", [0.5], 1, "zero", 900), (256, "highpass", [1.0], 3, "zero", 900), (500, "highpass", [0.5], 4, "causal_zero", 900),
            (250, "lowpass", [40.0], 5, "zero", 900), (250, "lowpass", [70.0], 6, "causal_zero", 900), (256, "lowpass", [30.0], 11, "causal_zero", 900)]:
        sos = ss.butter(order, edges if band == "bandpass" else edges[0], btype=band, fs=rate, output="sos")
        step(f"{band}_{rate}_{order}_{phase}_{n}", str(rate), n, {"step": band, "edges": edges, "order": order, "phase": phase}, run(sos, phase))
    for rate, freq, phase in [(256, 60.0, "causal_zero"), (250, 50.0, "zero"), (512, 60.0, "causal_first_sample")]:
        sos = np.concatenate(ss.iirnotch(freq, 30.0, fs=rate))[None]
        step(f"notch_{rate}_{phase}", str(rate), 700, {"step": "notch", "edges": [freq], "q": 30.0, "phase": phase}, run(sos, phase))


def scale_cases():
    step("zscore", "256", 1111, {"step": "zscore"}, lambda x: (x - x.mean()) / (x.std() + 1e-8))
    for n in (1110, 1111, 1112, 1113):
        step(f"robust_{n}", "256", n, {"step": "robust"},
             lambda x: (x - np.median(x)) / (np.subtract(*np.percentile(x, [75, 25])) + 1e-8))
    step("clip", "256", 500, {"step": "clip", "limit": 40.0}, lambda x: np.clip(x, -40.0, 40.0))


def more_filter_cases():
    """Every filter both ways and with both initial states, low and high orders, and the rates of usual recordings."""
    def run(sos, phase):
        if phase == "zero":
            return lambda x: ss.sosfiltfilt(sos, x)
        return lambda x: ss.sosfilt(sos, x - x[0] if phase == "causal_first_sample" else x)

    kinds = [("bandpass", [0.5, 70.0]), ("highpass", [0.3]), ("lowpass", [35.0])]
    for (band, edges), order, phase in [(k, o, p) for k in kinds for o in (1, 2, 4, 8)
                                        for p in ("zero", "causal_zero", "causal_first_sample")]:
        # Eight poles that close to zero leave SciPy itself with fewer digits than the tolerance.
        if band != "lowpass" and order == 8:
            continue
        rate = {1: 200, 2: 250, 4: 500, 8: 1000}[order]
        sos = ss.butter(order, edges if band == "bandpass" else edges[0], btype=band, fs=rate, output="sos")
        step(f"more_{band}_{rate}_{order}_{phase}", str(rate), 640, {"step": band, "edges": edges, "order": order, "phase": phase},
             run(sos, phase), seed=17 + order)
    for rate, freq, q, phase in [(200, 50.0, 30.0, "zero"), (500, 60.0, 5.0, "zero"), (1000, 50.0, 30.0, "causal_first_sample"),
                                 (256, 50.0, 100.0, "causal_zero")]:
        sos = np.concatenate(ss.iirnotch(freq, q, fs=rate))[None]
        step(f"more_notch_{rate}_{freq:g}_{q:g}_{phase}", str(rate), 640, {"step": "notch", "edges": [freq], "q": q, "phase": phase},
             run(sos, phase), seed=29)


def reference_cases():
    rate, samples, names = 256, 512, ORDER + ["A1", "A2"]
    raw = digital(len(names), samples, rate, seed=23)
    files = [save(row) for row in raw]
    x = microvolts(raw)
    chains = ("Fp1-F7 F7-T3 T3-T5 T5-O1 Fp2-F8 F8-T4 T4-T6 T6-O2 A1-T3 T3-C3 C3-Cz Cz-C4 C4-T4 T4-A2 "
              "Fp1-F3 F3-C3 C3-P3 P3-O1 Fp2-F4 F4-C4 C4-P4 P4-O2").split()
    for name, use in [("average_19", ORDER), ("average_5", "Fp1 Fp2 Cz O1 O2".split())]:
        mixed, _ = mne.set_eeg_reference(mne_raw(use, x[[names.index(n) for n in use]], rate), "average")
        CASES["reference"].append({"name": name, "kind": "average", "channels": use, "labels": names, "rate": str(rate), "digital": files,
                                   "expected": save(mixed.get_data(picks=use) * 1e6)})
    for name, pairs in [("tcp_22", chains), ("tcp_20", [p for p in chains if "A" not in p])]:
        anodes, cathodes = zip(*(p.split("-") for p in pairs))
        mixed = mne.set_bipolar_reference(mne_raw(names, x, rate), list(anodes), list(cathodes), ch_name=pairs)
        CASES["reference"].append({"name": name, "kind": "bipolar", "channels": pairs, "labels": names, "rate": str(rate), "digital": files,
                                   "expected": save(mixed.get_data(picks=pairs) * 1e6)})


def more_interpolation_cases():
    """Other electrodes than Fz and Pz, one at the rim, three at once."""
    rate, samples, names = 200, 320, ORDER + ["A1", "A2"]
    raw = digital(len(names), samples, rate, seed=31)
    files = {n: save(raw[i]) for i, n in enumerate(names)}
    x = microvolts(raw)
    for use, missing in [(ORDER, ["Cz"]), (ORDER, ["Fp1"]), (ORDER, ["T5", "O1", "P3"]), (names, ["T3"])]:
        full = interpolate(use, x[[names.index(n) for n in use]], missing, rate)
        present = [n for n in use if n not in missing]
        CASES["interpolation"].append({"name": "more_interpolation_" + "_".join(missing) + f"_{len(present)}", "missing": missing,
                                       "order": [n for n in ORDER if n in use], "rate": str(rate), "labels": present,
                                       "digital": [files[n] for n in present],
                                       "expected": save(full[[use.index(m) for m in missing]][:, ::4]), "every": 4})


def placed():
    """Centre and positions of src/dsp/electrodes.rs, in metres."""
    text = ELECTRODES.read_text()
    numbers = lambda part: np.array([float(x) for x in part.split(",")]) / 1000
    centre = numbers(re.search(r"CENTRE: .*= \[(.*)\];", text).group(1))
    return centre, {name: numbers(part) for name, part in re.findall(r'\("([A-Z0-9]+)", \[(.*)\]\),', text)}


def spline_cases():
    """Any electrode out of any others: few, three (the fewest), 10-10 names, below the equator, several at once, far from all sources."""
    rate, samples = 200, 60
    centre, positions = placed()
    everywhere = "Fp1 Fp2 Fpz AF3 AF4 F7 F8 F5 F6 F1 F2 FC5 FC6 FCz C5 C6 C1 C2 CP3 CP4 CPz P7 P8 PO3 PO4 POz O1 O2 Oz TP9 TP10 T9 M2".split()
    for name, present, missing in [
            ("nine", "Fp1 Fp2 C3 C4 Cz O1 O2 T3 T4".split(), ["Fz"]),
            ("five", "Fp1 Fp2 Cz O1 O2".split(), ["Pz", "Fz"]),
            ("three", "C3 C4 Cz".split(), ["O1"]),
            ("left_out", ORDER[:9] + ORDER[12:], ["Pz", "Fp2", "Cz"]),
            ("ten_ten", everywhere, ["Cz", "AFz", "P10", "C3", "Iz"]),
            ("below", ORDER + ["F9", "F10"], ["A1", "TP10"])]:
        raw = digital(len(present), samples, rate, seed=len(present) + 100)
        x = microvolts(raw)
        names = present + missing
        montage = mne.channels.make_dig_montage({n: positions[n.upper()] for n in names}, coord_frame="head")
        made = []
        for origin in (centre, "auto"):
            info = mne.io.RawArray(np.concatenate([x, np.full((len(missing), samples), 12345.0)]) * 1e-6, mne.create_info(names, rate, "eeg"))
            info.set_montage(montage)
            info.info["bads"] = list(missing)
            info.interpolate_bads(reset_bads=True, mode="accurate", method="spline", origin=origin) if len(names) > 4 or origin is centre else None
            made.append(info.get_data(picks=missing) * 1e6)
        CASES["spline"].append({"name": name, "missing": missing, "rate": str(rate), "labels": present, "digital": [save(row) for row in raw],
                                "expected": save(made[0]),
                                "auto_differs": float(f"{np.abs(made[0] - made[1]).max() / np.abs(made[0]).max():.1e}") if len(names) > 4 else None})


def print_electrodes():
    names = mne.channels.make_standard_montage("standard_1020").ch_names
    positions = mne_raw(names, np.zeros((len(names), 2)), 256)._get_channel_positions() * 1000
    for name, (x, y, z) in sorted(zip([n.upper() for n in names], positions)):
        print(f'    ("{name}", [{x:.4f}, {y:.4f}, {z:.4f}]),')


if __name__ == "__main__":
    if "--electrodes" in sys.argv:
        print_electrodes()
        sys.exit()
    DATA.mkdir(exist_ok=True)
    recipe_cases()
    interpolation_cases()
    resample_cases()
    filter_cases()
    scale_cases()
    more_filter_cases()
    reference_cases()
    more_interpolation_cases()
    spline_cases()
    for name, parts in STORES.items():
        np.save(DATA / f"{name}.npy", np.concatenate(parts))
    (DATA / "cases.json").write_text(json.dumps(CASES) + "\n")
    print(sum(f.stat().st_size for f in DATA.iterdir()), "bytes in", len(list(DATA.iterdir())), "files")
