"""What `eegcache build` does, with the packages that people use: peer.py DATA OUT READER RECIPE LAYOUT SAVE.

READER edfio or mne; RECIPE brain_brr (FFT resampling, causal filters) or zero_phase (zero-phase filters, polyphase resampling);
LAYOUT continuous or windows; SAVE savez or savez_compressed. Everything read and written is hashed, except by the compressed save,
which stands for the origin as it is.
"""
import hashlib
import os
import pathlib
import sys

for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(library + "_NUM_THREADS", "1")

import numpy as np
from scipy import signal

NAMES = "FP1 F3 C3 P3 F7 T3 T5 O1 FZ CZ PZ FP2 F4 C4 P4 F8 T4 T6 O2".split()
RATE, LENGTH, STRIDE = 256, 60 * 256, 10 * 256


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_edfio(path):
    import edfio

    found = {item.label: item for item in edfio.read_edf(path).signals}
    picked = [found[f"EEG {name}-REF"] for name in NAMES]
    return np.stack([item.data for item in picked]), int(picked[0].sampling_frequency)


def read_mne(path):
    import mne

    wanted = [f"EEG {name}-REF" for name in NAMES]
    raw = mne.io.read_raw_edf(path, include=wanted, preload=True, verbose="error").reorder_channels(wanted)
    return raw.get_data() * 1e6, int(raw.info["sfreq"])


def brain_brr(data, rate):
    if rate != RATE:
        data = signal.resample(data, round(data.shape[1] * RATE / rate), axis=1)
    data = signal.lfilter(*signal.butter(3, [0.5, 120], "bandpass", fs=RATE), data, axis=1)
    return signal.lfilter(*signal.iirnotch(60, 30, fs=RATE), data, axis=1)


def zero_phase(data, rate):
    data = signal.sosfiltfilt(signal.butter(4, [0.5, 120], "bandpass", fs=rate, output="sos"), data, axis=1)
    data = signal.filtfilt(*signal.iirnotch(60, 30, fs=rate), data, axis=1)
    return data if rate == RATE else signal.resample_poly(data, RATE, rate, axis=1)


def labels(path, samples):
    truth = np.zeros(samples, np.uint8)
    for line in path.read_text().splitlines():
        cells = line.split(",")
        if len(cells) > 3 and cells[3].endswith("sz"):
            truth[int(float(cells[1]) * RATE) : int(float(cells[2]) * RATE)] = 1
    return truth


def windows(data):
    return np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(data, LENGTH, -1)[..., ::STRIDE, :])


def main(data, out, reader, recipe, layout, save):
    hashes = save == "savez"
    for path in sorted(pathlib.Path(data).rglob("*.edf")):
        if hashes:
            digest(path)
        raw, rate = globals()["read_" + reader](path)
        x = globals()[recipe](raw, rate)
        x = (x - x.mean(axis=1, keepdims=True)) / (x.std(axis=1, keepdims=True) + 1e-8)
        x = np.nan_to_num(np.clip(x, -10, 10)).astype(np.float32)
        truth = labels(path.with_suffix(".csv"), x.shape[1])
        if layout == "windows":
            x, truth = windows(x).swapaxes(0, 1), windows(truth).astype(np.float32)
        target = pathlib.Path(out, path.stem + ".npz")
        getattr(np, save)(target, signal=x, labels=truth)
        if hashes:
            digest(target)


main(*sys.argv[1:])
