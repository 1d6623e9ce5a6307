"""SLAKE and VQA-RAD as tables: what their pages count, and no way from the test to training that a protocol forbids."""

import json
from collections import Counter
from pathlib import Path

import pytest

from benchmarks import medical_data, table_files, tables
from graphfuse.core.errors import InputError
from graphfuse.tables.spec import Spec

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
real = pytest.mark.skipif(
    not (DATA / "slake").is_dir(), reason="the public sets are not here (see benchmarks/tables.py)"
)

RECORDS = {
    "train": [
        {"qid": 1, "image": "a.jpg", "group": 1, "question": "Is it big?", "answer": "Yes ", "answer_type": "closed",
         "test_reword": False, "phrase_type": "freeform"},
        {"qid": 2, "image": "b.jpg", "group": 2, "question": "Where?", "answer": "Left lung", "answer_type": "open",
         "test_reword": True, "phrase_type": "frame"},
        {"qid": 3, "image": "c.jpg", "group": 3, "question": "What?", "answer": "CT", "answer_type": "open",
         "test_reword": False, "phrase_type": "frame"},
    ],
    "test": [{"qid": 9, "image": "b.jpg", "group": 2, "question": "Where is it?", "answer": "left lung",
              "answer_type": "open"}],
}  # fmt: skip


@pytest.fixture
def small(tmp_path):
    for name, records in RECORDS.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    return tmp_path


def test_a_protocol_leaves_out_what_it_says(small):
    left = {
        p: {r["id"] for r in medical_data.vqa_rad(small, p) if r["split"] != "test"} for p in medical_data.PROTOCOLS
    }
    assert left["published"] == {"rad-train-1", "rad-train-2", "rad-train-3"}
    assert left["strict"] == left["unseen"] == {"rad-train-1", "rad-train-3"}
    rows = medical_data.vqa_rad(small)
    assert rows[-1] == {"id": "rad-test-9", "question": "Where is it?", "image": "images/b.jpg", "answer": "left lung",
                        "split": "test", "closed": "open"}  # fmt: skip
    assert {row["answer"] for row in rows} == {"yes", "left lung", "ct"}
    assert [row["split"] for row in rows[1:3]] == ["train", "train"]  # framed wordings of the published set stay


def test_what_is_lacking_is_named(small):
    with pytest.raises(InputError, match=r"protocol is 'loose'; there are published, strict, unseen"):
        medical_data.vqa_rad(small, "loose")
    with pytest.raises(InputError, match=r"train\.jsonl\.gz: there is no such file"):
        medical_data.slake(small)
    with pytest.raises(InputError, match=r"a\.jpg: there is no such picture"):
        table_files.write_table(medical_data.vqa_rad(small), small / "none", small / "table")


@pytest.mark.parametrize("name", sorted({task.spec for task in tables.TASKS.values()}))
def test_every_spec_opens(name):
    assert Spec.open(tables.SPECS / f"{name}.toml").rows.split == "split"


@real
@pytest.mark.parametrize(("language", "counts"), [
    ("en", {"train": 4918, "valid": 1053, "test": 1061}), ("zh", {"train": 4916, "valid": 1046, "test": 1033}),
])  # fmt: skip
def test_slake_has_the_rows_that_its_page_counts(language, counts):
    rows = medical_data.slake(DATA / "slake", language)
    assert Counter(row["split"] for row in rows) == counts
    pictures = {split: {r["image"] for r in rows if r["split"] == split} for split in counts}
    assert [len(own) for own in pictures.values()] == [450, 96, 96]
    assert not pictures["train"] & pictures["test"]
    closed = Counter(r["closed"] for r in rows if r["split"] == "test")
    assert closed == ({"open": 645, "closed": 416} if language == "en" else {"open": 613, "closed": 420})


@real
@pytest.mark.parametrize(("protocol", "train"), [("published", 3064), ("strict", 2772), ("unseen", 1152)])
def test_vqa_rad_has_the_rows_that_its_page_counts(protocol, train):
    rows = medical_data.vqa_rad(DATA / "vqa_rad", protocol)
    counts = Counter(row["split"] for row in rows)
    assert counts["test"] == 451
    assert counts["train"] + counts["valid"] == train
    assert 0.14 < counts["valid"] / train < 0.17
    pictures = {split: {r["image"] for r in rows if r["split"] == split} for split in counts}
    if protocol == "unseen":
        assert not (pictures["train"] | pictures["valid"]) & pictures["test"]
        assert not pictures["train"] & pictures["valid"]


@real
def test_a_small_part_of_slake_goes_the_whole_way(tmp_path, monkeypatch, jobs_asked):
    monkeypatch.setenv("GRAPHFUSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GRAPHFUSE_DATA", str(DATA))
    every = medical_data.slake(DATA / "slake", "en")
    some = [r for s in ("train", "valid", "test") for r in [r for r in every if r["split"] == s][:24]]
    task = tables.TASKS["slake_en"]
    monkeypatch.setitem(tables.TASKS, "slake_en", tables.replace(task, read=lambda data: some))
    monkeypatch.setattr(tables, "FUSIONS", ("concat",))
    found = tables.run("slake_en", tmp_path / "out", range(1), True, "python -m benchmarks.run slake_en --quick", 2)
    assert jobs_asked == [2]
    own = "relation_gate"  # the fusion of the spec
    assert {row["method"] for row in found} == {"majority", "text", "image", "concat", own}
    assert {"accuracy", "closed", "open", "macro_f1", "calibration_error"} <= {row["metric"] for row in found}
    assert all(row["task"] == "slake_en" for row in found)
    by_hand = [r["id"] for r in some if r["split"] == "test"]
    assert len(by_hand) == 24
