"""How a script ends."""

import errno

import pytest

from src.cli import run
from src.errors import InputError


@pytest.mark.parametrize(
    ("failure", "code", "complaint"),
    [
        (None, 0, ""),
        (InputError("a.wav: is\nempty"), 2, "error: a.wav: is empty\n"),
        (
            PermissionError(errno.EACCES, "Permission denied", "outdir"),
            2,
            "error: [Errno 13] Permission denied: 'outdir'\n",
        ),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_exit_codes(failure, code, complaint, capsys):
    def main():
        if failure:
            raise failure

    with pytest.raises(SystemExit) as exit_code:
        run(main)
    assert (exit_code.value.code, *capsys.readouterr()) == (code, "", complaint)


def test_what_nobody_foresaw_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        run(lambda: 1 / 0)
