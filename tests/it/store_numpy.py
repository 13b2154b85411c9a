"""Opens what the store wrote with numpy alone and compares it with what was meant."""

import hashlib
import io
import json
import pathlib
import struct
import sys
import zipfile

import numpy as np

root = pathlib.Path(sys.argv[1])


def offsets(path):
    """Yields name and offset of each member's content, from the local headers."""
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        assert archive.testzip() is None
        assert archive.comment == b""
        for info in archive.infolist():
            assert info.compress_type == zipfile.ZIP_STORED and info.flag_bits == 0, info
            assert info.date_time == (1980, 1, 1, 0, 0, 0), info
            assert info.file_size == info.compress_size, info
            file.seek(info.header_offset)
            head = struct.unpack("<4s5H3I2H", file.read(30))
            assert head[0] == b"PK\x03\x04" and head[6] == info.CRC and head[8] == info.file_size, head
            extra = file.read(head[9] + head[10])[head[9] :]
            while extra:  # every extra field is well-formed
                _, size = struct.unpack("<HH", extra[:4])
                assert len(extra) >= 4 + size
                extra = extra[4 + size :]
            yield info.filename, info.header_offset + 30 + head[9] + head[10]


def check(name, members, dtype, rows, samples, data):
    path = root / name
    found = dict(offsets(path))
    assert list(found) == members, list(found)
    with np.load(path, allow_pickle=False) as arrays:
        entry = arrays["entry.json"]
        assert isinstance(entry, bytes)
        entry = json.loads(entry)
        assert entry["schema"] == 1 and entry["id"] == path.name.split(".")[0]
        raw = path.read_bytes()
        for member, offset in found.items():
            if not member.endswith(".npy"):
                continue
            array = arrays[member[:-4]]
            stream = io.BytesIO(raw[offset:])
            assert np.lib.format.read_magic(stream) == (1, 0)
            shape, fortran, _ = np.lib.format.read_array_header_1_0(stream)
            start = offset + stream.tell()
            assert start % 64 == 0, (member, start)
            assert shape == array.shape and not fortran
            bytes_ = np.ascontiguousarray(array).tobytes()
            assert raw[start : start + len(bytes_)] == bytes_, member
            assert hashlib.sha256(bytes_).hexdigest() == entry["arrays"][member[:-4]], member
        if "labels.npy" in members:
            labels = arrays["labels"]
            assert labels.dtype == np.uint8 and labels.tolist() == [0, 1, 1, 0, 0]
            return
        signal = arrays["signal"]
        assert signal.dtype == np.dtype(dtype) and signal.shape == (rows, samples)
        assert np.array_equal(signal, data(rows, samples).astype(dtype))
        assert arrays["channels"].tolist() == ["Fp1", "F3", "µ-Cz"][:rows]
        assert arrays["rate_hz"].shape == () and arrays["rate_hz"] == 256.0
        assert arrays["scale"].dtype == np.float64
        assert arrays["scale"].tolist() == [[float(row), 0.5] for row in range(rows)]


def ramp(rows, samples):
    row = (np.arange(rows, dtype=np.float32)[:, None] + np.float32(1)) * np.float32(0.1)
    return row * np.arange(samples, dtype=np.float32) - np.float32(1.5)


SIGNAL = ["signal.npy", "channels.npy", "rate_hz.npy", "scale.npy", "entry.json"]
check("train/a.npz", SIGNAL, "<f4", 2, 5, ramp)
check("val/h.npz", SIGNAL, "<f2", 3, 100_000, ramp)
check("eval/e.npz", SIGNAL, "<f4", 1, 0, ramp)
check("train/a.labels.npz", ["labels.npy", "entry.json"], "|u1", None, 5, None)
