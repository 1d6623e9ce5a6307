"""Seconds are of every way by turns, without the warm-up; memory is what a run takes beyond what there was."""

import torch

from benchmarks import clock


def test_ways_go_by_turns_and_the_warm_up_is_left_out():
    calls = []
    found = clock.in_turn([lambda: calls.append("a"), lambda: calls.append("b")], repeats=3)
    assert calls == ["a", "b"] * 4
    assert [len(own) for own in found] == [3, 3]
    assert all(seconds >= 0 for own in found for seconds in own)


def test_peak_memory_is_of_the_run_alone_and_counts_what_it_frees(run_python):
    code = """
import torch
from benchmarks.clock import peak_of
held = torch.ones(60_000_000)
print(peak_of(lambda: torch.ones(100_000_000).sum()))
"""
    assert torch.ones(1).element_size() == 4
    done = run_python(code)
    assert not done.returncode, done.stderr
    assert 390e6 < int(done.stdout) < 440e6
