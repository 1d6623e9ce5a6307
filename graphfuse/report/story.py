"""What a page tells beside its numbers: the question, groups of methods, slices of the test, examples, credits."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from graphfuse.core.errors import InputError
from graphfuse.core.files import read_json, write_json
from graphfuse.report.plain import from_plain, to_plain

FILE = "report.json"
SIGNATURES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}


@dataclass(frozen=True)
class Picture:
    """A picture as PNG or JPEG, and in words for those who cannot see it."""

    caption: str
    data: bytes

    def __post_init__(self) -> None:
        if not any(self.data.startswith(start) for start in SIGNATURES):
            raise InputError(f"Picture {self.caption!r} starts with {self.data[:4]!r}; expected a PNG or a JPEG.")

    @property
    def media_type(self) -> str:
        """``image/png`` or ``image/jpeg``."""
        return next(name for start, name in SIGNATURES.items() if self.data.startswith(start))


@dataclass(frozen=True)
class EvidencePath:
    """A path through a knowledge graph: the entity where it starts, then ``(head, relation, tail)`` a step.

    A step may run against its edge, from tail to head.
    """

    start: str
    steps: tuple[tuple[str, str, str], ...] = ()

    def __post_init__(self) -> None:
        for _ in self.hops():
            pass

    def hops(self) -> Iterator[tuple[str, bool, str]]:
        """Relation, whether the step runs against the edge, and the entity it leads to."""
        here = self.start
        for head, relation, tail in self.steps:
            if here not in (head, tail):
                raise InputError(f"Evidence path: step {(head, relation, tail)} neither starts nor ends at {here!r}.")
            against = here != head
            here = head if against else tail
            yield relation, against, here


@dataclass(frozen=True)
class Looked:
    """A node that the fusion looked at: its kind, what it shows, and its share of the whole, 0 to 1."""

    kind: str
    label: str
    share: float


@dataclass(frozen=True)
class Card:
    """One example.

    Attributes:
        name: The sample's.
        text: What was asked.
        answer: What the model said.
        truth: Every right answer.
        right: Whether the answer counts as right.
        score: Confidence, 0 to 1, if the head has one.
        pictures: What came with the question.
        paths: Evidence, best first.
        looked: The nodes that mattered most, most first.
    """

    name: str
    text: str
    answer: str
    truth: tuple[str, ...]
    right: bool
    score: float | None = None
    pictures: tuple[Picture, ...] = ()
    paths: tuple[EvidencePath, ...] = ()
    looked: tuple[Looked, ...] = ()


@dataclass(frozen=True)
class Hidden:
    """The test metric of a method when one modality is hidden; ``drop`` is how much worse that is than nothing hidden.

    ``mean``, ``std`` and ``drop`` are in the units of the comparison's scores (an accuracy is 0 to 1).
    """

    method: str
    hidden: str
    mean: float
    std: float
    drop: float


@dataclass(frozen=True)
class Story:
    """All that the page says beside the comparison; each part may be left out.

    Attributes:
        title: Of the page.
        lead: One or two sentences: what was asked, of what, and why.
        groups: Method -> the group it is drawn in, such as ``"one modality"`` or ``"graph"``.
        against: Methods, or groups (their best method), that the key finding is held against; the best of each other
            group if left out.
        slices: Dimension (``"form"``) -> slice (``"flag"``) -> names of test samples, as in ``Comparison.scores``.
        hidden: Missing-modality rows.
        hidden_note: A sentence on them, such as which samples they are over.
        cards: Examples.
        cards_note: A sentence on them, such as whose answers they are and how they were picked.
        made: How it was made: command, versions, data, budget, hardware; shown in this order.
        credits: Sources and licences that must be shown.
        language: Of the title, lead and cards, as in HTML's ``lang``.
    """

    title: str = ""
    lead: str = ""
    groups: Mapping[str, str] = field(default_factory=dict)
    against: tuple[str, ...] = ()
    slices: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    hidden: tuple[Hidden, ...] = ()
    hidden_note: str = ""
    cards_note: str = ""
    cards: tuple[Card, ...] = ()
    made: Mapping[str, str] = field(default_factory=dict)
    credits: tuple[str, ...] = ()
    language: str = "en"

    def save(self, folder: str | Path) -> None:
        """Writes ``report.json``, pictures within; :meth:`open` reads it."""
        write_json(Path(folder) / FILE, to_plain(self))

    @classmethod
    def open(cls, folder: str | Path) -> "Story":
        """From the folder that :meth:`save` wrote.

        Raises:
            InputError: The file is missing or damaged; names the file and the place in it.
        """
        path = Path(folder) / FILE
        story: Story = from_plain(cls, read_json(path), str(path))
        return story
