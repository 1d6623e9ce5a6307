"""What the checks found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One check: its name, its claim, whether it holds, and what was found."""

    name: str
    claim: str
    passed: bool
    found: str


@dataclass(frozen=True)
class Report:
    """The findings about one fusion, in the order of the checks; printed, a table.

    Attributes:
        fusion: What was checked.
        findings: One a check.
        skipped: The checks that were not run.
    """

    fusion: str
    findings: tuple[Finding, ...]
    skipped: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def __getitem__(self, name: str) -> Finding:
        return next(finding for finding in self.findings if finding.name == name)

    @property
    def failed(self) -> tuple[Finding, ...]:
        """The findings of checks whose claim does not hold."""
        return tuple(finding for finding in self.findings if not finding.passed)

    @property
    def ok(self) -> bool:
        """Whether every claim holds."""
        return not self.failed

    def raise_if_failed(self) -> None:
        """For a test of your own.

        Raises:
            AssertionError: Some claim does not hold; says each that failed, and what was found.
        """
        if self.failed:
            told = "".join(f"\n  {finding.name}: {finding.claim} Found: {finding.found}." for finding in self.failed)
            raise AssertionError(f"{self.fusion}: {self._counted()}.{told}")

    def __str__(self) -> str:
        width = max((len(finding.name) for finding in self.findings), default=0)
        rows = [f"{'ok  ' if each.passed else 'FAIL'}  {each.name:{width}}  {each.found}" for each in self.findings]
        return "\n".join([f"{self.fusion}: {self._counted()}", *rows, *(f"skip  {name}" for name in self.skipped)])

    def _counted(self) -> str:
        return f"{len(self) - len(self.failed)} of {len(self)} checks passed"
