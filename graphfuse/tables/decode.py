"""Bytes of a text file as text, whatever encoding it was saved in, and a note where it had to be guessed."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from graphfuse.core.errors import InputError

LONE = re.compile(rb"(?<![\x80-\xff])[\x80-\xff](?![\x80-\xff])")
SURE = 10  # times as many letters of UTF-8 as broken bytes: the file is UTF-8, and damaged


def decode(data: bytes, path: Path) -> tuple[str, tuple[str, ...]]:
    """The text and notes about it: UTF-8, UTF-16 with its mark, else GB 18030 or Windows-1252, by which is likelier.

    Western text has most of its letters beyond ASCII alone among others, Chinese text has them in runs.

    Raises:
        InputError: The bytes are damaged UTF-8 (with the line), or of no encoding that is known here.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return data.decode("utf-16"), ()
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: is cut short or damaged UTF-16 ({error.reason}); save it as UTF-8.") from error
    if b"\0" in data:
        raise InputError(f"{path}:{_line(data, data.index(0))}: there is a null byte, so this is no text file that "
                         "can be read; save it as UTF-8.")  # fmt: skip
    try:
        return data.decode("utf-8-sig"), ()
    except UnicodeDecodeError as error:
        line = _line(data, error.start)
        loose = data.decode("utf-8", "surrogateescape")
    broken = sum("\udc80" <= letter <= "\udcff" for letter in loose)
    if sum(letter > "\x7f" for letter in loose) - broken > SURE * broken:
        raise InputError(f"{path}:{line}: a byte here is damaged, while the rest of the file is UTF-8; mend the line.")
    runs = 2 * len(LONE.findall(data)) < sum(byte > 0x7F for byte in data)
    for encoding in ("gb18030", "cp1252") if runs else ("cp1252", "gb18030"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        return text, (f"{path}: is not UTF-8 (line {line}) and was read as {encoding}; if letters look wrong, save it "
                      "as UTF-8.",)  # fmt: skip
    raise InputError(
        f"{path}:{line}: the text is neither UTF-8 nor UTF-16, GB 18030 or Windows-1252; save it as UTF-8."
    )


def _line(data: bytes, at: int) -> int:
    return data.count(b"\n", 0, at) + 1
