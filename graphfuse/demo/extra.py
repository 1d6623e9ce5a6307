"""The packages of the extra ``demo``, imported when they are needed and not before."""

from importlib import import_module
from types import ModuleType

from graphfuse.core.errors import InputError


def require(module: str) -> ModuleType:
    """The module called ``module``, one of those that the extra ``demo`` brings.

    Raises:
        InputError: It is not installed; says the command that installs it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise InputError(
            f"The demo needs the package {(error.name or module).partition('.')[0]!r}, which is not installed: "
            'run `pip install "graphfuse[demo]"` (in a clone: `pip install ".[demo]"`).'
        ) from error
