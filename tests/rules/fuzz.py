"""A fuzz target for the rules: what crashes, hangs or is answered wrongly, by coverage. Not part of the tests.

    pip install atheris && python tests/rules/fuzz.py -max_total_time=300 -max_len=300 -timeout=30 corpus/

``corpus/`` is a folder that is there, empty at first; what was interesting is kept in it. It ends at the first input
that is handled wrongly and writes it to a file ``crash-..``; ``python tests/rules/fuzz.py crash-..`` runs it again.
"""

import random
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["graphfuse.rules"]):
    from robust import check, mutated


def main() -> None:
    """Seeds an empty corpus with texts that are nearly rules, and runs."""
    for folder in (Path(word) for word in sys.argv[1:] if Path(word).is_dir()):
        for seed in range(200):
            (folder / f"nearly-{seed}").write_bytes(mutated(random.Random(seed)).encode("utf-8", "surrogatepass"))
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
