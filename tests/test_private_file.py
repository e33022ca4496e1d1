"""Files that are their owner's alone."""

import fcntl
import os
import stat

import pytest

from approvals import private_file
from approvals.errors import Unavailable

NOBODY = 65534
AS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only the superuser can be somebody else")


@pytest.fixture
def kept(tmp_path):
    path = tmp_path / "some.key"
    private_file.create(path, "a key")
    return path


def test_it_is_closed_from_the_start_and_never_written_over(kept):
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert private_file.read(kept) == "a key"
    with pytest.raises(FileExistsError):
        private_file.create(kept, "another")


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o644, 0o602, 0o610, 0o666])
def test_p5_keys_that_others_can_open_are_refused(kept, mode):
    kept.chmod(mode)
    with pytest.raises(Unavailable, match=f"others can open it .mode 0{mode:o}") as refused:
        private_file.read(kept)
    assert f"chmod 600 '{kept}'" in refused.value.hint
    kept.chmod(0o400)
    assert private_file.read(kept) == "a key"


@AS_ROOT
def test_p5_keys_that_are_somebody_elses_are_refused(kept, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: NOBODY)
    with pytest.raises(Unavailable, match="belongs to another user"):
        private_file.read(kept)
    with pytest.raises(Unavailable, match="belongs to another user"):
        private_file.opened(kept)


def test_p5_a_lock_that_stood_open_is_closed_to_others(tmp_path):
    path = tmp_path / "some.lock"
    path.touch(0o644)
    with private_file.opened(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_lock_in_a_folder_that_is_not_there_is_refused_in_words(tmp_path):
    with pytest.raises(Unavailable, match="cannot be opened: No such file"):
        private_file.opened(tmp_path / "nowhere" / "some.lock")
