"""Reading text, atomic writes, digests, and folders locked by one process."""

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from src.errors import InputError
from src.files import claim_folder, read_text, sha256_of, write_atomically

NOBODY = 65534


@contextmanager
def unwritable_folder():
    """A folder without permission to write. Root, whom permissions do not bind, becomes another user meanwhile."""
    with TemporaryDirectory() as folder:
        os.chmod(folder, 0o555)
        root = os.geteuid() == 0
        if root:
            os.seteuid(NOBODY)
        try:
            yield Path(folder)
        finally:
            if root:
                os.seteuid(0)
            os.chmod(folder, 0o755)
        assert os.listdir(folder) == []


def test_text_of_any_editor(tmp_path):
    (tmp_path / "a").write_bytes("\ufeffé\r\n\u2028b\rc\n".encode())
    assert read_text(tmp_path / "a") == "é\n\u2028b\nc\n" == (tmp_path / "a").read_text(encoding="utf-8-sig")
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbfone\ncaf\xe9\n")
    with pytest.raises(InputError, match=r"a: line 2 is not UTF-8 text \(.*\); save the file as UTF-8"):
        read_text(tmp_path / "a")
    with pytest.raises(InputError, match=r"gone: cannot be read \(No such file or directory\)"):
        read_text(tmp_path / "gone")


def test_what_was_there_stays_until_the_new_file_is_complete(tmp_path, monkeypatch):
    write_atomically(tmp_path / "a", b"old")
    with monkeypatch.context() as patch, pytest.raises(InputError, match="cannot be written"):
        patch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        write_atomically(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old" and os.listdir(tmp_path) == ["a"]
    write_atomically(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new" and os.listdir(tmp_path) == ["a"]


def test_a_folder_without_permission():
    with unwritable_folder() as folder:
        with pytest.raises(InputError, match=r"a: cannot be written \(Permission denied\)"):
            write_atomically(folder / "a", b"")
        with pytest.raises(InputError, match=r"cannot be written \(Permission denied\)"):
            claim_folder(folder)
        with pytest.raises(InputError, match=r"new: cannot be written \(Permission denied\)"):
            claim_folder(folder / "new")


def test_the_digest_of_a_file_is_that_of_its_content(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert (
        sha256_of(tmp_path / "a")
        == sha256_of(b"abc")
        == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    with pytest.raises(InputError, match=r"b: cannot be read \(No such file or directory\)"):
        sha256_of(tmp_path / "b")


def test_a_file_where_the_folder_should_be(tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(InputError, match=r"a: cannot be written \(File exists\)"):
        claim_folder(tmp_path / "a")


def test_one_process_at_a_time(tmp_path):
    code = "import sys; from src.files import claim_folder; held = claim_folder(sys.argv[1])"
    code += "; print('mine', flush=True); input()"
    call = [sys.executable, "-c", code, str(tmp_path / "out")]
    with subprocess.Popen(
        call, cwd=Path(__file__).parents[1], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "mine\n"
        (tmp_path / "out" / ".x.ckpt.7.partial").write_text("of the other")
        with pytest.raises(InputError, match="another process is training into it"):
            claim_folder(tmp_path / "out")
        assert (tmp_path / "out" / ".x.ckpt.7.partial").exists()
        other.kill()
    with claim_folder(tmp_path / "out"):
        assert os.listdir(tmp_path / "out") == [".lock"]  # the partial file of the killed process is gone
