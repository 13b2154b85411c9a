#!/usr/bin/env python3
"""The invariant after a fault, judged by NumPy and hashlib alone; none of eegcache's code.

    invariant.py REFERENCE.json        reads one cache root a line from stdin, answers one line for each

What eegcache calls valid is what a sound manifest and sound journal lines list, later lines winning, and what lies there with the size they
tell. Each such file must have its SHA-256, open with numpy.load, and hold the arrays that its entry.json names. Every file under a final name,
listed or not, must be one that an undisturbed build makes: REFERENCE.json maps `<leaf>` to the digests it may have.
The answer is `ok <valid files> <files> <tree>` or `wrong: …`; `<tree>` is a hash over names and contents of everything in
the directory that holds the cache root, the root left out: nothing outside may change.
Tested with Python 3.11, NumPy 2.4.
"""
import hashlib
import json
import os
import sys

import numpy as np


def sha(content):
    return hashlib.sha256(content).hexdigest()


def read(path):
    with open(path, "rb") as file:
        return file.read()


def manifest(version):
    """The manifest where its checksum, of every byte behind the first line, is right."""
    try:
        content = read(os.path.join(version, "manifest.json"))
    except FileNotFoundError:
        return None
    head, _, body = content.partition(b"\n")
    sound = head == b'{"checksum":"' + sha(body).encode() + b'",'
    return json.loads(content) if sound else None


def journals(version):
    """The sound lines of each journal whose first line is sound, oldest journal first."""
    build, found = os.path.join(version, ".build"), []
    names = os.listdir(build) if os.path.isdir(build) else []
    for name in sorted(name for name in names if name.startswith("journal-")):
        lines = [line.split(b" ", 1) for line in read(os.path.join(build, name)).split(b"\n")]
        sound = [len(pair) == 2 and sha(pair[1]).encode() == pair[0] for pair in lines]
        if sound[0]:
            values = [json.loads(pair[1]) for pair, good in zip(lines, sound) if good]
            found.append((values[0]["began_ns"], name, values))
    return [values for _, _, values in sorted(found)]


def meaning(identity):
    return identity and (identity["dataset"], identity["signal"], identity["labels"])


def entries(version):
    """What manifest and journals list together: id → files."""
    listed, identity = {}, None
    whole = manifest(version)
    if whole:
        listed = {entry["id"]: entry["files"] for entry in whole["entries"]}
        identity = whole["identity"]
    logs = journals(version)
    if identity is None:
        identity = next((log[0]["identity"] for log in reversed(logs) if log[0]["identity"]), None)
    for head, *lines in logs:
        if identity and head["identity"] and meaning(head["identity"]) != meaning(identity):
            continue
        for line in lines:
            kind = line.pop("kind")
            if kind == "entry":
                listed[line["id"]] = line["files"]
                continue
            name = line["name"]
            leaf = name.rsplit("/", 1)[-1]
            key = leaf.removesuffix(".npz").removesuffix(".labels") if "/" in name else name
            names = [file["name"] for file in listed.get(key, {}).values() if file]
            if key == name or name in names or kind == "quarantined":
                listed.pop(key, None)
    return listed


def check_file(path, record, wrong):
    content = read(path)
    if sha(content) != record["sha256"]:
        wrong.append(f"{path}: called valid, and its sha256 is another")
        return
    with np.load(path, allow_pickle=False) as npz:
        facts = json.loads(npz["entry.json"])
        for name, digest in facts["arrays"].items():
            if sha(np.ascontiguousarray(npz[name]).tobytes()) != digest:
                wrong.append(f"{path}: sha256 of array {name}")


def check_version(version, reference, wrong):
    valid = files = 0
    for id, records in entries(version).items():
        for record in filter(None, records.values()):
            path = os.path.join(version, record["name"])
            if not os.path.islink(path) and os.path.isfile(path) and os.path.getsize(path) == record["bytes"]:
                check_file(path, record, wrong)
                valid += 1
    for split in ("train", "val", "eval"):
        directory = os.path.join(version, split)
        for leaf in os.listdir(directory) if os.path.isdir(directory) else []:
            files += 1
            if reference and sha(read(os.path.join(directory, leaf))) not in reference.get(leaf, []):
                wrong.append(f"{directory}/{leaf}: a final name and other bytes than any undisturbed build")
    return valid, files


def outside(root):
    """A hash of everything beside the cache."""
    tree = hashlib.sha256()
    for directory, names, files in os.walk(os.path.dirname(root)):
        names[:] = sorted(name for name in names if os.path.join(directory, name) != root)
        for name in sorted(files):
            path = os.path.join(directory, name)
            content = os.readlink(path).encode() if os.path.islink(path) else read(path)
            tree.update(f"{path}\0{sha(content)}\n".encode(errors="surrogateescape"))
    return tree.hexdigest()


def check(root, reference):
    wrong, valid, files = [], 0, 0
    for profile in sorted(os.listdir(root)) if os.path.isdir(root) else []:
        versions = os.path.join(root, profile)
        if profile.startswith(".") or not os.path.isdir(versions):
            continue
        for version in sorted(os.listdir(versions)):
            path = os.path.join(versions, version)
            if os.path.isdir(path) and not os.path.islink(path):
                more_valid, more_files = check_version(path, reference, wrong)
                valid, files = valid + more_valid, files + more_files
    return f"wrong: {'; '.join(wrong)}" if wrong else f"ok {valid} {files} {outside(root)}"


def main():
    with open(sys.argv[1]) as file:
        reference = json.load(file)
    for line in sys.stdin:
        try:
            print(check(line.rstrip("\n"), reference), flush=True)
        except Exception as error:  # whatever happens must reach the test, not only stderr
            print(f"wrong: {type(error).__name__}: {error}", flush=True)


if __name__ == "__main__":
    main()
