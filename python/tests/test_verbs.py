"""Verbs: the same reports as the command line, progress, and Ctrl-C."""

import inspect
import os
import pathlib
import re
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import eegcache
from eegcache import _native

SMOKE = "demo_v1_256hz_10-20"


def test_resolve_names_the_one_directory(built):
    directory = eegcache.resolve("configs/smoke_test.yaml", **built.where)
    assert directory == built.root / "cache" / "smoke" / SMOKE
    assert isinstance(directory, pathlib.Path) and "def resolve(place: Place) -> pathlib.Path" in stub()
    where = {**built.where, "env": {**built.where["env"], "EEGCACHE_CACHE__VERSION": "trial"}}
    assert eegcache.resolve(None, "dev", **where) == built.root / "cache" / "dev" / "trial"
    elsewhere = eegcache.resolve(None, "dev", cache_root=built.root / "x", **built.where)
    assert elsewhere == built.root / "x" / "dev" / SMOKE


@pytest.mark.parametrize(
    "value, read", [("trial", "trial"), ("1.5", "1.5"), ("yes", "yes"), ("a b: c", None)]
)
def test_values_that_are_set_stay_what_they_are(built, value, read):
    where = dict(built.where, set={"cache.version": value})
    if read is None:
        with pytest.raises(eegcache.ConfigError):
            eegcache.resolve(None, **where)
    else:
        assert eegcache.resolve(None, **where).name == read


@pytest.mark.parametrize(
    "value, read",
    [
        (np.int64(30), "30"),
        (np.float32(0.5), "0.5"),
        (np.float16(30), "30"),
        (np.float64(1.5), "1.5"),
        (np.array(12), "12"),
    ],
)
def test_numbers_of_numpy_are_numbers(built, value, read):
    cache = built.open(set={"windows.length_s": value})
    assert cache._windowing.length_s == read


def test_values_may_be_nested_and_must_be_yaml(built):
    bands = [np.array([0.5, 120], np.float32), (np.float32(0.5), np.int16(120))]
    for band in bands:
        assert eegcache.status(None, "smoke", set={"preprocessing.bandpass": band}, **built.where).profiles[0].state == "VALID"
    tenth = eegcache._place.Place.of(None, set={"a": np.float32(0.1), "b": np.bool_(True), "c": [pathlib.Path("x")]}, env={})
    assert tenth.set == ["a=0.1", "b=true", 'c=["x"]']
    with pytest.raises(TypeError, match="`set`: `windows.length_s` is no value that YAML has"):
        eegcache.status(set={"windows.length_s": {1, 2}}, **built.where)


def test_the_project_is_the_current_directory_by_default(built, monkeypatch):
    monkeypatch.chdir(built.root / "configs")
    for name in [name for name in os.environ if name.startswith("EEG")]:
        monkeypatch.delenv(name)
    assert eegcache.resolve(None, "smoke").parent == built.root / "cache" / "smoke"


def test_a_passed_preflight_is_a_report(built):
    report = eegcache.preflight("configs/smoke_test.yaml", progress=False, **built.where)
    assert report.ready is True and report.state == "VALID"
    assert report.cache_dir == str(eegcache.resolve("configs/smoke_test.yaml", **built.where))
    assert report.splits.train.windows.partial > 0
    assert {gate.verdict.verdict for gate in report.gates} <= {"pass", "warn"}
    with pytest.raises(AttributeError, match="the report has no `no_such`"):
        _ = report.no_such


def test_status_and_explain(built):
    report = eegcache.status(**built.where)
    assert {one.profile: one.state for one in report.profiles} == {
        "smoke": "VALID",
        "dev": "NOT_FOUND",
        "full": "NOT_FOUND",
    }
    [smoke] = eegcache.status(None, "smoke", **built.where).profiles
    assert smoke.splits.train.have > 0
    id = next(iter(built.open().recordings))
    explained = eegcache.explain(id, None, "smoke", **built.where)
    assert explained.files[0].verdict == "hit" and explained.entry.id == id
    with pytest.raises(eegcache.ConfigError, match="did you mean"):
        eegcache.explain(id + "x", None, "smoke", **built.where)


def test_verify_hashes_everything(built):
    report = eegcache.verify(None, "smoke", progress=False, **built.where)
    assert report.damaged == [] and report.bytes > 0
    quick = eegcache.verify(None, "smoke", quick=True, progress=False, **built.where)
    assert (quick.files, quick.bytes) == (report.files, 0)
    with pytest.raises(ValueError):
        eegcache.verify(quick=True, repair=True)


def test_a_build_keeps_to_its_memory(project):
    for narrow in (1 << 20, "1M"):
        report = project.build(memory=narrow)
        assert report.built == 0 and {one["class"] for one in report.quarantine} >= {"too-long"}
    with pytest.raises(eegcache.ConfigError, match="`memory` is `4X`"):
        project.build(memory="4X")
    assert project.build(memory="4G").built > 0


def test_a_build_tells_how_far_it_is_in_the_callers_thread(project):
    plan = project.build(dry_run=True)
    assert plan.to_build == 12 - plan.quarantined
    heard, threads = [], set()

    def callback(progress):
        heard.append(progress)
        threads.add(threading.current_thread())

    report = eegcache.build(None, "smoke", jobs=2, progress=callback, **project.where)
    assert report.built == plan.to_build - len(report.quarantine)
    assert threads == {threading.current_thread()}
    last = heard[-1]
    assert (last.what, last.done, last.total) == ("smoke", plan.to_build, plan.to_build)
    assert last.bytes == last.total_bytes > 0 and last.message is None
    assert project.build().kept == report.built
    linked = eegcache.build(None, "dev", progress=False, **project.where)
    assert linked.linked == report.built


def test_an_exception_of_the_callback_stops_the_build_and_is_raised(project):
    def callback(progress):
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        eegcache.build(None, "smoke", jobs=1, progress=callback, **project.where)
    assert project.build().built <= 12


def test_plain_lines_where_there_is_no_terminal(project, capfd):
    eegcache.build(None, "smoke", **project.where)
    out, err = capfd.readouterr()
    assert out == ""
    assert re.search(r"^smoke: \d+/\d+ recordings, [\d.]+ of [\d.]+ MiB$", err, re.M), err
    eegcache.verify(None, "smoke", **project.where)
    assert re.search(r": \d+/\d+ files, [\d.]+ of [\d.]+ MiB$", capfd.readouterr().err, re.M)


INTERRUPTED = """
import os, signal, sys, threading
import eegcache

# A shell starts what runs in its background with the signal ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
sent = []

def callback(progress):
    # Once, and only when a recording of the profile is finished: before that nothing could be kept.
    if progress.what == "full" and progress.done > 0 and not sent:
        sent.append(f"at {progress.done} of {progress.total}")
        os.kill(os.getpid(), signal.SIGINT)

try:
    eegcache.build(None, "full", jobs=1, progress=callback, project=sys.argv[1])
except KeyboardInterrupt as error:
    assert isinstance(error, eegcache.Interrupted), type(error)
    assert isinstance(error.__cause__, KeyboardInterrupt)
    print("interrupted:", error.message, *sent)
else:
    print("not interrupted:", *sent)
"""


def test_ctrl_c_ends_a_build_and_keeps_what_is_finished(project):
    run = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(project.root)],
        env=project.where["env"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    left = re.search(r"interrupted: (\d+) of 60 recordings are left", run.stdout)
    assert left, run.stdout + run.stderr
    [full] = eegcache.status(None, "full", **project.where).profiles
    have = sum(split.have + split.quarantined for split in full.splits.values())
    assert 0 < have == 60 - int(left.group(1)) < 60


def test_the_interpreter_is_free_while_a_verb_runs(project):
    ticks = []
    done = threading.Event()

    def tick():
        while not done.wait(0.01):
            ticks.append(time.monotonic())

    ticker = threading.Thread(target=tick)
    ticker.start()
    began = time.monotonic()
    project.build()
    took = time.monotonic() - began
    done.set()
    ticker.join()
    # Were the lock held, there would be none at all.
    assert len(ticks) > min(5, took / 0.1)


def stub():
    return (pathlib.Path(eegcache.__file__).parent / "_native.pyi").read_text()


def test_the_stubs_name_what_the_native_module_has():
    text = stub()
    named = set(re.findall(r"^(?:def|class) (\w+)|^(__version__)", text, re.M))
    named = {first or second for first, second in named}
    assert named == {name for name in dir(_native) if not name.startswith("_")} | {"__version__"}
    classes = re.findall(r"^class (\w+):\n((?:    .*\n)+)", text, re.M)
    assert len(classes) == text.count("\nclass ")
    for name, body in classes:
        methods = set(re.findall(r"^    def ([a-z]\w*)", body, re.M))
        assert methods == {name for name in dir(getattr(_native, name)) if not name.startswith("_")}
    assert (pathlib.Path(eegcache.__file__).parent / "py.typed").exists()


def test_all_public_functions_are_typed_and_documented():
    for name in eegcache.__all__:
        value = getattr(eegcache, name)
        if inspect.isfunction(value):
            assert value.__doc__, name
            signature = inspect.signature(value)
            assert signature.return_annotation is not signature.empty, name
