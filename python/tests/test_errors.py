"""The tree of exceptions is the library's list of kinds."""

import pathlib
import pickle
import re

import pytest

import eegcache
from eegcache import _native

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def test_every_kind_of_the_library_has_one_exception_and_its_exit_code():
    kinds = dict(_native.error_kinds())
    classes = eegcache.Error.__subclasses__()
    assert sorted(one.kind for one in classes) == sorted(kinds)
    assert {one.kind: one.exit_code for one in classes} == kinds
    for one in classes:
        assert getattr(eegcache, one.__name__) is one


def test_the_kinds_are_those_of_the_source():
    source = (REPOSITORY / "src" / "error.rs").read_text()
    enum = re.search(r"pub enum ErrorKind \{(.*?)\n\}", source, re.S).group(1)
    variants = re.findall(r"^    (\w+),", enum, re.M)
    named = [re.sub(r"(?<!^)([A-Z])", r"-\1", variant).lower() for variant in variants]
    assert [kind for kind, _ in _native.error_kinds()] == named


def test_exceptions_survive_pickling():
    error = eegcache.GateError("m", "h", "seizures", eegcache.Report(a=1))
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is eegcache.GateError
    assert (copy.message, copy.hint, copy.gate, copy.report) == ("m", "h", "seizures", {"a": 1})
    assert copy.report.a == 1


def test_an_interruption_is_a_keyboard_interrupt():
    assert issubclass(eegcache.Interrupted, KeyboardInterrupt)


CASES = [
    (eegcache.ConfigError, {"set": {"preprocessing.clip": "wide"}}, "preprocessing.clip"),
    (eegcache.ConfigError, {"set": {"cache.profil": "smoke"}}, "did you mean `profile`"),
    (eegcache.ConfigError, {"config": "configs/no_such.yaml"}, "no_such.yaml"),
    (eegcache.ConfigError, {"config": ["configs/smoke_test.yaml", "configs/no.yaml"]}, "no.yaml"),
    (eegcache.NotReadyError, {"profile": "dev"}, "NOT_FOUND"),
    (eegcache.NotReadyError, {"profile": "smoke", "set": {"preprocessing.clip": 20}}, "clip"),
    (eegcache.GateError, {"profile": "smoke", "set": {"windows.length_s": 7200}}, "no window"),
]


@pytest.mark.parametrize("kind, given, says", CASES, ids=lambda value: str(value)[:40])
def test_trouble_is_raised_as_its_kind(built, kind, given, says):
    with pytest.raises(eegcache.Error) as raised:
        eegcache.preflight(**{"config": None, **given}, progress=False, **built.where)
    assert type(raised.value) is kind
    assert says in str(raised.value)
    if raised.value.hint:
        assert raised.value.hint in str(raised.value)
    else:
        assert kind is eegcache.ConfigError
    assert raised.value.kind == kind.kind
    assert bool(raised.value.gate) == (kind is not eegcache.ConfigError)
    if raised.value.gate:
        assert raised.value.report.ready is False


def test_damage_is_raised_as_damage(project):
    project.build()
    [file] = sorted(project.root.glob("cache/smoke/*/train/*.labels.npz"))[:1]
    content = file.read_bytes()
    file.unlink()
    file.write_bytes(content[:-1])
    with pytest.raises(eegcache.DamagedError) as raised:
        eegcache.preflight(None, "smoke", progress=False, **project.where)
    assert "verify --repair" in raised.value.hint
    with pytest.raises(eegcache.DamagedError):
        project.open()
    report = eegcache.verify(None, "smoke", progress=False, **project.where)
    assert [damage.name for damage in report.damaged] == [f"train/{file.name}"]
    report = eegcache.verify(None, "smoke", repair=True, progress=False, **project.where)
    assert len(report.moved) == 1
    assert project.build().relabelled == 1
    assert project.open().windows("train")
