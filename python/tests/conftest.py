"""A project of its own with a built cache, made once by the package under test."""

import os
import pathlib
import shutil

import pytest

import eegcache

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def clean_environment():
    """The environment without anything that is configuration."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("EEG", "BGB_")) and name != "CACHE_ROOT"
    }


class Project:
    """The shipped configurations in a directory of their own, the demo corpus cut to a few recordings."""

    def __init__(self, root):
        self.root = root
        shutil.copytree(REPOSITORY / "configs", root / "configs")
        (root / "configs" / "local.yaml").write_text(
            "cache:\n  profiles:\n    smoke: {subset: balanced_12_files}\n    dev: {subset: balanced_16_files}\n"
        )
        self.where = {"project": root, "env": clean_environment()}

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def build(self, profile="smoke", **options):
        return eegcache.build(None, profile, progress=False, **options, **self.where)

    def open(self, profile="smoke", **options):
        return eegcache.Cache.open(None, profile, **options, **self.where)


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """A project whose smoke profile is built; tests do not change it."""
    project = Project(tmp_path_factory.mktemp("project"))
    project.build()
    return project


@pytest.fixture
def project(tmp_path, built):
    """A project that a test may change: the same corpus and no cache."""
    project = Project(tmp_path / "project")
    shutil.copytree(built.root / ".demo", project.root / ".demo")
    return project
