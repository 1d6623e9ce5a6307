"""``graphfuse cache``: the features that frozen encoders computed once."""

from typing import Annotated

import typer


def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Delete all cached features.")] = False,
    json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """Say where cached features lie and how much room they take, or delete them.

    The folder is GRAPHFUSE_CACHE if that is set, else the user's cache folder.
    """
    from graphfuse.encoders.cache import Cache

    store = Cache()
    if clear:
        store.clear()
    facts = store.stats()
    if json:
        import json as writer

        print(writer.dumps(facts))
        return
    print(facts)
