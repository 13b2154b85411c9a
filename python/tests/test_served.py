"""Counting what was handed out never stands in the way of handing it out, and leaves nothing behind."""

import copy
import multiprocessing
import os
import pickle
import subprocess
import sys
import tempfile
import threading

import pytest

from eegcache._served import Served


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """Where counters put their directories in this test."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def mine(count):
    return {os.getpid(): count}


def test_a_counter_whose_directory_is_gone_counts_for_itself(temporary):
    copied = pickle.loads(pickle.dumps(Served()))
    assert list(temporary.iterdir()) == []
    copied.add(2)
    copied.add(1)
    assert copied.read() == mine(3)


def test_a_deep_copy_counts_for_itself(temporary):
    served = Served()
    served.add(1)
    copied = copy.deepcopy(served)
    copied.add(5)
    assert (served.read(), copied.read()) == (mine(1), mine(5))
    del served
    copied.add(1)
    assert copied.read() == mine(6) and len(list(temporary.iterdir())) == 1


def test_without_a_place_for_files_a_counter_counts_for_itself(monkeypatch, temporary):
    monkeypatch.setattr(tempfile, "tempdir", str(temporary / "nowhere"))
    served = Served()
    served.add(4)
    assert served.read() == mine(4)


def test_a_counter_that_cannot_be_written_counts_for_itself(temporary):
    served = Served()
    [directory] = temporary.iterdir()
    (directory / str(os.getpid())).mkdir()
    served.add(4)
    assert served.read()[os.getpid()] == 4


def test_threads_count_together():
    served = Served()
    start = threading.Barrier(8)

    def work():
        start.wait()
        for _ in range(200):
            served.add(1)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work) for _ in range(8)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
    finally:
        sys.setswitchinterval(before)
    assert served.read() == mine(1600)


def count_in_a_counter_of_its_own():
    global kept
    kept = Served()
    kept.add(1)


def test_a_rank_that_was_forked_takes_its_directory_along_and_no_other(temporary):
    served = Served()
    context = multiprocessing.get_context("fork")
    for target, arguments in ((count_in_a_counter_of_its_own, ()), (served.add, (1,))):
        rank = context.Process(target=target, args=arguments)
        rank.start()
        rank.join()
        assert rank.exitcode == 0 and len(list(temporary.iterdir())) == 1
    assert served.read() == {rank.pid: 1}
    del served, target
    assert list(temporary.iterdir()) == []


def test_a_program_that_ends_leaves_nothing_behind(temporary):
    program = "from eegcache._served import Served; served = Served(); served.add(1)"
    subprocess.run([sys.executable, "-c", program], env={**os.environ, "TMPDIR": str(temporary)}, check=True, timeout=60)
    assert list(temporary.iterdir()) == []


SPAWNED = """
import multiprocessing, sys
from eegcache.torch import WindowDataset

def first(data):
    assert data[0][0].shape[0] > 0

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    # Nobody but the process that starts keeps the dataset.
    rank = context.Process(target=first, args=(WindowDataset(sys.argv[1], length_s=60, stride_s=60),))
    rank.start()
    rank.join()
    sys.exit(rank.exitcode)
"""


def test_a_dataset_that_is_only_handed_over_is_read(built, tmp_path):
    pytest.importorskip("torch", reason="skipped: PyTorch is not installed here")
    program = tmp_path / "program.py"
    program.write_text(SPAWNED)
    command = [sys.executable, str(program), str(built.open().directory)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
