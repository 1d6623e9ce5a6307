"""Checks for parts of your own: whether a fusion keeps what all fusions promise."""

from graphfuse.testing.checks import CHECKS
from graphfuse.testing.fusion import check_fusion
from graphfuse.testing.report import Finding, Report

__all__ = ["CHECKS", "Finding", "Report", "check_fusion"]
