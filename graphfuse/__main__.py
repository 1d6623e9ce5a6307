"""``python -m graphfuse`` is the command ``graphfuse``."""

from graphfuse.cli import main

main()
