"""``graphfuse cache``: the features that frozen encoders computed once."""

from typing import Annotated, Any

import typer


def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Delete all cached features, and nothing else.")] = False,
    json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """Say where cached features lie and how much room they take, or delete them.

    The folder is GRAPHFUSE_CACHE if that is set, else the user's cache folder.
    """
    from graphfuse.encoders.cache import Cache

    store = Cache()
    freed = store.clear() if clear else 0
    facts = store.stats()
    if json:
        import json as writer

        print(writer.dumps({**facts, "freed": freed} if clear else facts))
        return
    print(table_of(facts))
    if clear:
        print(f"freed {megabytes(freed)} MB")


def table_of(facts: dict[str, Any]) -> str:
    """What ``Cache.stats`` says, as lines: the folder, then size and entries of each encoder and of all."""
    parts = {**facts["encoders"], "all": {"bytes": facts["bytes"], "entries": facts["entries"]}}
    width = max(map(len, ["encoder", *parts]))
    lines = [f"folder: {facts['folder']}", f"{'encoder':<{width}}  {'MB':>9}  {'entries':>9}"]
    lines += [f"{name:<{width}}  {megabytes(p['bytes']):>9}  {p['entries']:>9,}" for name, p in parts.items()]
    return "\n".join(lines)


def megabytes(size: int) -> str:
    """Bytes as millions of bytes."""
    return f"{size / 1e6:,.1f}"
