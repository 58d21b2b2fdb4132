"""Chinese characters: where they are in Unicode, and traditional ones."""

import functools
from collections.abc import Callable

from src.errors import InputError, quote
from src.text.mandarin.packages import needed

HAN = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"  # as a class of a regular expression

CONVERT = "convert"


def is_han(character: str) -> bool:
    """Return whether this is a Chinese character (〇 and 々 are, Japanese kana are not)."""
    return (
        "\u4e00" <= character <= "\u9fff"
        or "\u3400" <= character <= "\u4dbf"
        or "\u3005" <= character <= "\u3007"
        or "\uf900" <= character <= "\ufaff"
        or "\U00020000" <= character <= "\U000323af"
    )


def settle_traditional(text: str, policy: str) -> str:
    """Bring traditional characters into simplified ones, or refuse them.

    A text counts as traditional from one character on that is not in GB 2312, the standard set of simplified ones, and
    has a simplified form; 乾 of 乾隆 is written in both.

    Args:
        policy: "convert" or "refuse".

    Raises:
        InputError: there are traditional characters, and the policy is to refuse them; a package is missing.
    """
    beyond = [character for character in text if is_han(character) and not _in_gb2312(character)]
    if not beyond:
        return text
    converted = _converter()(text)
    changed = [character for character in beyond if _converter()(character) != character]
    if changed and policy != CONVERT:
        raise InputError(
            f"{quote(''.join(dict.fromkeys(changed)))} is traditional; text.traditional convert reads it as simplified"
        )
    return converted if changed else text


@functools.lru_cache(maxsize=32768)
def _in_gb2312(character: str) -> bool:
    try:
        character.encode("gb2312")
    except UnicodeEncodeError:
        return character == "〇"
    return True


@functools.cache
def _converter() -> Callable[[str], str]:
    convert = needed("opencc").OpenCC("t2s").convert
    return lambda text: convert(text) or text  # an empty text gives None
