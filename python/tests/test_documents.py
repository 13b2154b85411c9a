"""What the documents show of the package is what it does: the blocks that `tests/it/documents.rs` leaves to it."""

import pathlib
import re
import shutil
import subprocess
import sys

import pytest

import eegcache
from conftest import clean_environment

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
PLACE = "/path/to/eegcache"


def blocks(name):
    """The fenced blocks of a document: language, line, text."""
    text = (REPOSITORY / name).read_text()
    found = re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.M | re.S)
    return [(m[1], text[: m.start()].count("\n") + 2, m[2]) for m in found]


def examples():
    """Every example as (where, command or program, what is shown)."""
    for name in ("README.md", "CACHE_GUIDE.md"):
        all_blocks = blocks(name)
        for number, (language, line, text) in enumerate(all_blocks):
            if language == "python" and "import eegcache\n" in text:
                shown = all_blocks[number + 1]
                assert shown[0] == "text", f"{name}:{line} shows no output"
                yield pytest.param(text, shown[2], id=f"{name}:{line}")
            elif language == "console" and text.startswith("$ python "):
                command, _, shown = text.partition("\n")
                assert "\n$ " not in shown, f"{name}:{line}: more than one command"
                yield pytest.param(command.split()[2], shown, id=f"{name}:{line}")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """What a clone holds, the smoke cache built."""
    root = tmp_path_factory.mktemp("clone")
    shutil.copytree(REPOSITORY / "configs", root / "configs")
    (root / "configs" / "local.yaml").unlink(missing_ok=True)
    shutil.copytree(REPOSITORY / "python" / "examples", root / "python" / "examples")
    report = eegcache.build(None, "smoke", progress=False, project=root, env=clean_environment())
    assert report.members == 50
    return root


def test_the_documents_show_the_package():
    assert len(list(examples())) >= 2


@pytest.mark.parametrize("program, shown", list(examples()))
def test_examples_print_what_the_documents_show(project, program, shown):
    path = project / program
    if "\n" in program:
        path = project / "example.py"
        path.write_text(program)
    elif "torch" in path.read_text():
        pytest.importorskip("torch", reason=f"skipped: {program} needs PyTorch, which is not installed here")
    run = subprocess.run(
        [sys.executable, str(path)], cwd=project, env=clean_environment(), capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    printed = run.stdout.replace(str(project), PLACE)
    # The last digits of a trained number are the processor's and PyTorch's.
    shown, printed = (re.sub(r"(loss \d)\.\d+", r"\1.…", text) for text in (shown, printed))
    assert printed == shown
