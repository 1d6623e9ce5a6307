"""Encoders: from raw values of one modality to the features of one kind of node."""

from graphfuse.encoders.base import Encoder
from graphfuse.encoders.cache import Cache
from graphfuse.encoders.image import Image
from graphfuse.encoders.ngrams import NGrams
from graphfuse.encoders.table import Table
from graphfuse.encoders.text import Text
from graphfuse.encoders.vector import Vector

ENCODERS: dict[str, type[Encoder]] = {
    "vector": Vector,
    "text": Text,
    "ngrams": NGrams,
    "image": Image,
    "table": Table,
}

__all__ = ["ENCODERS", "Cache", "Encoder", "Image", "NGrams", "Table", "Text", "Vector"]
