"""Killed at five random moments and taken up again, a training ends with the same weights; the benchmark kills 50."""

import pytest

from benchmarks import survival


@pytest.mark.skipif(not hasattr(survival.os, "fork"), reason="the trial forks, which this system cannot")
def test_a_training_killed_at_any_moment_ends_with_the_same_weights(tmp_path):
    assert survival.apart(tmp_path, 5, 0) == [True] * 5
