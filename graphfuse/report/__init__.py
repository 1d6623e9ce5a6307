"""Reports: a page without network access, a picture and a model's card, drawn from the files of a finished comparison.

``write_report(folder)`` reads ``comparison.json`` (:meth:`graphfuse.Comparison.save`) and, where they are there,
``report.json`` (:meth:`Story.save`), ``answers.jsonl``, ``missing.jsonl``, ``metrics.jsonl`` and ``rules.jsonl``
(:mod:`graphfuse.report.rows`), and can be called again at any time.
"""

from graphfuse.report.card import model_card
from graphfuse.report.outcomes import Answered, BrokenRules, Confusion, MissingCurve, MoreMetrics, Reliability
from graphfuse.report.overview import overview_picture
from graphfuse.report.page import write_report
from graphfuse.report.story import Card, EvidencePath, Hidden, Looked, Picture, Story

__all__ = [
    "Answered", "BrokenRules", "Card", "Confusion", "EvidencePath", "Hidden", "Looked", "MissingCurve", "MoreMetrics",
    "Picture", "Reliability", "Story", "model_card", "overview_picture", "write_report",
]  # fmt: skip
