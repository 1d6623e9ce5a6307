"""``graphfuse info``: versions and devices."""

from typing import Annotated

import typer


def info(json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False) -> None:
    """Say which versions and devices are in use, and which extras are installed."""
    from graphfuse.core.machine import machine

    facts = machine()
    if json:
        import json as writer

        print(writer.dumps(facts, indent=2))
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name:<{width}}  {value}")
