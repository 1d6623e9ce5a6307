"""Reports: one page without network access, and one picture, drawn from the files of a finished comparison.

``write_report(folder)`` reads ``comparison.json`` (:meth:`graphfuse.Comparison.save`) and, where there is one,
``report.json`` (:meth:`Story.save`), and can be called again at any time.
"""

from graphfuse.report.overview import overview_picture
from graphfuse.report.page import write_report
from graphfuse.report.story import Card, EvidencePath, Hidden, Looked, Picture, Story

__all__ = ["Card", "EvidencePath", "Hidden", "Looked", "Picture", "Story", "overview_picture", "write_report"]
