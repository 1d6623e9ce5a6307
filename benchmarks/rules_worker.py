"""Does the measures of time of ``benchmarks.rules`` and prints what they found as JSON; started as a fresh process."""

import json
import sys

import torch

from benchmarks import rules_hierarchy, rules_speed


def main(asked: dict) -> None:
    """``asked``: seeds and quick."""
    torch.set_num_threads(1)
    found = []
    for module in (rules_speed, rules_hierarchy):
        for each in module.measures(asked["seeds"], asked["quick"]):
            print(f"{each['method']}; {each['metric']}: {each['mean']:g}", file=sys.stderr, flush=True)
            found.append(each)
    print(json.dumps(found))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
