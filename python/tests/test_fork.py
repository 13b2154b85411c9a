"""A fork takes no thread along: what a process called before it forked must work in the child as well."""

import subprocess
import sys

import pytest

import eegcache

CALLED_TWICE = """
import os, sys, tempfile, time
import eegcache

def threads():
    return len(os.listdir("/proc/self/task"))

call = eval("lambda: " + sys.argv[1])
where, (directory, pairs, id) = {"project": sys.argv[2]}, sys.argv[3:]
new = tempfile.mkdtemp
if "WindowDataset" in sys.argv[1]:
    from eegcache.torch import WindowDataset
before = threads()
call()
left = threads() - before
child = os.fork()
if child == 0:
    call()
    os._exit(0)
end = time.monotonic() + 20
ended, status = 0, None
while not ended and time.monotonic() < end:
    time.sleep(0.02)
    ended, status = os.waitpid(child, os.WNOHANG)
if not ended:
    os.kill(child, 9)
    os.waitpid(child, 0)
    sys.exit("the child hangs")
assert status == 0, status
assert left == 0, "threads are left behind"
"""

CALLS = {
    "resolve": "eegcache.resolve(None, 'smoke', **where)",
    "status": "eegcache.status(**where)",
    "explain": "eegcache.explain(id, None, 'smoke', **where)",
    "preflight": "eegcache.preflight(None, 'smoke', progress=False, **where)",
    "verify": "eegcache.verify(None, 'smoke', progress=False, **where)",
    "dry run": "eegcache.build(None, 'smoke', dry_run=True, **where)",
    "build": "eegcache.build(None, 'smoke', progress=False, cache_root=new(), **where)",
    "export": "eegcache.export('npy', new(), None, 'smoke', progress=False, **where)",
    "adopt": "eegcache.adopt(pairs, None, 'smoke', dry_run=True, progress=False, **where)",
    "open": "eegcache.Cache.open(None, 'smoke', **where).windows('train')[0].sum()",
    "directory": "eegcache.Cache.open(directory).windows('train', 60, 10)[0].sum()",
    "dataset": "WindowDataset(None, 'train', 'smoke', **where)[0]",
}


@pytest.fixture(scope="module")
def pairs(built, tmp_path_factory):
    """Windows for `adopt`."""
    directory = tmp_path_factory.mktemp("pairs") / "pairs"
    eegcache.export("npy", directory, None, "smoke", progress=False, **built.where)
    return directory


@pytest.mark.parametrize("name", CALLS)
def test_what_was_called_before_a_fork_can_be_called_behind_it(built, pairs, tmp_path, name):
    if name == "dataset":
        pytest.importorskip("torch", reason="skipped: PyTorch is not installed here")
    directory = built.open().directory
    id = next(iter(built.open().recordings))
    run = subprocess.run(
        [sys.executable, "-c", CALLED_TWICE, CALLS[name], str(built.root), *map(str, (directory, pairs)), id],
        # The worker threads of a machine that has more than one core.
        env={**built.where["env"], "RAYON_NUM_THREADS": "3", "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stdout + run.stderr
