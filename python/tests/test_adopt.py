"""What a foreign cache is worth, asked from Python."""

import numpy as np
import pytest

import eegcache


@pytest.fixture
def pairs(built, tmp_path):
    """The windows of the built cache as another program would have left them."""
    directory = tmp_path / "pairs"
    eegcache.export("npy", directory, None, "smoke", progress=False, **built.where)
    return directory


def verdicts(report):
    return {one.name: one.verdict for one in report.recordings}


def test_what_is_proved_is_built_and_nothing_else(built, pairs, tmp_path):
    spoilt = sorted((pairs / "train").glob("*_data.npy"))[0]
    windows = np.load(spoilt)
    windows[-1, -1, -1] += 1
    np.save(spoilt, windows)
    spoilt = spoilt.name[: -len("_data.npy")]
    where = dict(built.where, cache_root=tmp_path / "new")
    heard = []
    looked = eegcache.adopt(pairs, None, "smoke", sample=99, dry_run=True, progress=heard.append, **where)
    assert heard[-1].done == heard[-1].total == len(looked.recordings) > 1
    assert looked.imported == [] and not (tmp_path / "new").exists()
    found = verdicts(looked)
    assert found.pop(spoilt) == "wrong" and set(found.values()) == {"proved"}
    [wrong] = [one for one in looked.recordings if one.name == spoilt]
    assert [finding.code for finding in wrong.findings] == ["signal-differs"]
    done = eegcache.adopt(pairs, None, "smoke", sample=99, progress=False, **where)
    assert sorted(done.imported) == sorted(found)
    [smoke] = eegcache.status(None, "smoke", **where).profiles
    assert sum(split.have for split in smoke.splits.values()) == len(found)


def test_only_a_sample_is_made_again(built, pairs):
    report = eegcache.adopt(pairs, None, "smoke", sample=2, dry_run=True, progress=False, **built.where)
    assert sorted(verdicts(report).values()).count("proved") == 2
    assert set(verdicts(report).values()) == {"proved", "consistent"}


def test_a_directory_without_windows_is_refused(built, tmp_path):
    with pytest.raises(eegcache.ConfigError, match="holds no"):
        eegcache.adopt(tmp_path, None, "smoke", progress=False, **built.where)
    with pytest.raises(ValueError, match="sample"):
        eegcache.adopt(tmp_path, sample=-1, **built.where)
