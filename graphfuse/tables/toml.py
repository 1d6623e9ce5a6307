"""TOML read with errors that name the line, changed by the command line, and its texts and keys written."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

from graphfuse.core.errors import InputError


def parsed(path: Path) -> dict[str, Any]:
    """The values of a TOML file.

    Raises:
        InputError: There is no such file, or it is not TOML (with the line).
    """
    try:
        text = path.read_text("utf-8-sig")
        return tomllib.loads(text)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file; `graphfuse init TABLE` writes one.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); a text file in UTF-8 is needed.") from error
    except tomllib.TOMLDecodeError as error:
        reason, _, at = str(error).partition(" (at ")
        line = found.group(1) if (found := re.match(r"line (\d+)", at)) else text.count("\n") + 1
        raise InputError(f"{path}:{line}: not valid TOML ({reason}).") from None
    except ValueError as error:  # a number of thousands of digits
        raise InputError(f"{path}: not valid TOML ({error}).") from None


def set_value(values: dict[str, Any], change: str) -> None:
    """Sets one value, as ``training.epochs=5`` says; what follows ``=`` is a text where it is not TOML.

    Raises:
        InputError: It has no ``=``, or the key leads into what is no section.
    """
    key, equals, text = change.partition("=")
    if not equals or not key.strip():
        raise InputError(f"--set {change}: SECTION.KEY=VALUE is needed, such as training.epochs=5.")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
        value = value if isinstance(value, str | bool | int | float | list) else text
    except ValueError:
        value = text
    words = re.findall(r'"((?:[^"\\]|\\.)*)"|([^."]+)', key.strip())
    *above, last = [quoted or plain.strip() for quoted, plain in words] or [key.strip()]
    place: Any = values
    for word in above:
        if not isinstance(place, dict):
            raise InputError(f"--set {change}: {word!r} stands in no section.")
        place = place.setdefault(word, {})
    if not isinstance(place, dict):
        raise InputError(f"--set {change}: {above[-1]!r} is no section.")
    place[last] = value


def quoted(text: str) -> str:
    """A TOML string."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def key_of(name: str) -> str:
    """A TOML key, quoted where it has to be."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else quoted(name)
