"""ROSMAP, recipes and CREMA-D as tables: what their page counts, splits that share nothing, and their specs."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import media_data as media
from benchmarks.table_files import write_table
from graphfuse.core.errors import InputError
from graphfuse.tables.data import load
from graphfuse.tables.spec import Spec

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "media"
SPECS = Path(media.__file__).parent / "specs"
real = pytest.mark.skipif(not DATA.is_dir(), reason="the public sets are not here (see benchmarks/tables.py)")

DISHES = {
    "en": [{"id": f"en/{i}", "title": f"Dish {i}", "tags": ["soup", "rare"][: 1 + (i == 4)] if i else [],
            "ingredients": ["1 egg", "salt"], "steps": "1. Boil.", "images": [], "fold": i % 5} for i in range(21)],
    "zh": [{"id": f"zh/{i}", "title": "蛋汤", "category": ["soup", "drink"][i // 5], "intro": "好喝。",
            "steps": "1. 煮。", "images": [f"{k}.jpg" for k in ("zh_2", "zh_3", "zh_1")][: 3 * (i % 2)], "fold": i % 5}
           for i in range(10)],
}  # fmt: skip
VOTES = [  # by voice, by face, by both: anger, calm
    [[3, 1], [0, 2], [1, 3]],
    [[1, 0], [1, 0], [2, 2]],
    [[0, 0], [1, 3], [0, 1]],
    [[0, 5], [4, 0], [9, 1]],
]


@pytest.fixture
def small(tmp_path):
    """The same files with few rows."""
    rng = np.random.default_rng(0)
    sizes = {"train": 40, "test": 10}
    views = {f"{v}_{p}": rng.random((n, 3), np.float32) for v in media.OMICS for p, n in sizes.items()}
    labels = {f"y_{p}": (np.arange(n) % 5 > 2).astype(np.uint8) for p, n in sizes.items()}
    np.savez(tmp_path / "rosmap.npz", **views, **labels)
    for language, dishes in DISHES.items():
        text = "".join(json.dumps(dish, ensure_ascii=False) + "\n" for dish in dishes)
        (tmp_path / f"recipes_{language}.jsonl").write_text(text, "utf-8")
    (tmp_path / "img").mkdir()
    Image.new("RGB", (16, 12), "red").save(tmp_path / "img" / "zh_3.jpg")
    np.savez(
        tmp_path / "cremad_votes.npz", votes=np.array(VOTES, np.uint8), mean_level=np.full((4, 3), 50, np.float32),
        sentence=np.array([0, 1, 0, 1], np.uint8), age=np.array([20, 30, 40, 50], np.uint8),
        female=np.array([True, False, True, False]), fold=np.array([0, 1, 1, 2], np.uint8),
        sentence_text=np.array(["One.", "Two."]), emotion_name=np.array(["anger", "calm"]),
        view_name=np.array(["voice", "face", "both"]),
    )  # fmt: skip
    return tmp_path


def test_rosmap_keeps_the_published_test_and_holds_back_the_same_share_of_each_label(small):
    rows = media.rosmap(small)
    assert Counter((r["split"], r["label"]) for r in rows) == {
        ("train", "control"): 20, ("valid", "control"): 4, ("train", "alzheimer"): 14, ("valid", "alzheimer"): 2,
        ("test", "control"): 6, ("test", "alzheimer"): 4,
    }  # fmt: skip
    assert [r["id"] for r in rows if r["split"] == "test"] == [f"rosmap-test-{i}" for i in range(10)]
    with np.load(small / "rosmap.npz") as file:
        given = np.concatenate([file["meth_train"], file["meth_test"]])
    assert_scaled(rows, "meth", given)
    assert media.rosmap(small) == rows


def assert_scaled(rows, name, given):
    """The numbers of a view are those given, standardised by the training rows and no others."""
    train = given[[row["split"] == "train" for row in rows]].astype(float)
    assert np.allclose([row[name] for row in rows], (given - train.mean(0)) / train.std(0), atol=1e-3)


def test_cross_validation_tests_each_row_once_a_repeat_and_scales_by_its_own_training_rows(small):
    rows = media.rosmap(small)
    tables = media.folds(rows, repeats=3, folds=5)
    assert len(tables) == 15
    for repeat in range(3):
        own = tables[5 * repeat : 5 * repeat + 5]
        assert Counter(r["id"] for t in own for r in t if r["split"] == "test") == Counter(r["id"] for r in rows)
    for table in tables:
        assert [(r["id"], r["label"]) for r in table] == [(r["id"], r["label"]) for r in rows]
        assert_scaled(table, "mirna", np.array([r["mirna"] for r in rows]))
        counts = Counter((r["split"], r["label"]) for r in table)
        assert (counts["test", "control"], counts["test", "alzheimer"]) == (6, 4)
        assert (counts["valid", "control"], counts["valid", "alzheimer"]) == (4, 2)
    assert media.folds(rows, 3, 5) == tables
    assert media.folds(rows, 3, 5, seed=1) != tables
    assert tables[0] != tables[5]
    with pytest.raises(InputError, match="folds is 1"):
        media.folds(rows, folds=1)


def test_dishes_have_their_text_once_and_their_last_picture(small):
    rows = media.recipes(small, "zh")
    assert rows[0] == {
        "id": "zh/0", "text": "蛋汤\n好喝。\n1. 煮。", "ingredients": "", "picture": "", "target": "soup",
        "split": "test",
    }  # fmt: skip
    assert (rows[1]["picture"], rows[1]["split"]) == ("img/zh_3.jpg", "valid")
    assert {r["split"] for r in rows[2:5]} == {"train"}


def test_rare_tags_go_and_a_dish_without_any_stays(small):
    rows = media.recipes(small, "en")
    assert [r["target"] for r in rows] == [[], *[["soup"]] * 20]
    assert rows[0]["text"] == "Dish 0\n1. Boil."
    assert rows[0]["ingredients"] == "1 egg; salt"


def test_clips_have_no_vote_of_those_who_hear_and_see(small):
    rows = media.cremad(small)
    assert rows[0] == {
        "id": "cremad-0", "voice": [0.75, 0.25, 0.5], "face": [0.0, 1.0, 0.5], "age": 20, "sex": "female",
        "sentence": "One.", "label": "calm", "split": "test",
    }  # fmt: skip
    assert [(r["id"], r["label"], r["split"]) for r in rows[1:]] == [
        ("cremad-2", "calm", "valid"), ("cremad-3", "anger", "train")
    ]  # fmt: skip
    assert rows[1]["voice"] == ""  # nobody judged it by voice alone
    with np.load(small / "cremad_votes.npz") as file:
        changed = {name: file[name] for name in file.files}
    changed["mean_level"][:, 2] = 7
    changed["votes"][:, 2] *= 3
    np.savez(small / "cremad_votes.npz", **changed)
    assert media.cremad(small) == rows


def test_a_table_is_written_with_the_pictures_it_names(small, tmp_path):
    rows, out = media.recipes(small, "zh"), tmp_path / "out"
    table = write_table(rows, small / "img", out, "picture")
    assert [json.loads(line) for line in table.read_text("utf-8").splitlines()] == rows
    assert [path.relative_to(out).as_posix() for path in out.rglob("*.jpg")] == ["img/zh_3.jpg"]
    (out / "img" / "zh_3.jpg").write_bytes(b"torn")
    write_table(rows, small / "img", out, "picture")
    assert (out / "img" / "zh_3.jpg").read_bytes() == (small / "img" / "zh_3.jpg").read_bytes()
    assert write_table(media.cremad(small), None, out / "plain").parent.name == "plain"
    with pytest.raises(InputError, match="no such picture"):
        write_table([{"picture": "img/lost.jpg"}], small / "img", out, "picture")


def test_what_cannot_be_read_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        media.rosmap(tmp_path)
    (tmp_path / "rosmap.npz").write_bytes(b"no arrays")
    with pytest.raises(InputError, match=r"rosmap\.npz: is not the file"):
        media.rosmap(tmp_path)
    np.savez(tmp_path / "cremad_votes.npz", votes=np.zeros((1, 3, 6)))
    with pytest.raises(InputError, match=r"cremad_votes\.npz: is not the file"):
        media.cremad(tmp_path)
    (tmp_path / "recipes_en.jsonl").write_text('{"id": ')
    with pytest.raises(InputError, match=r"recipes_en\.jsonl: is not the file"):
        media.recipes(tmp_path, "en")
    with pytest.raises(InputError, match="no language called 'fr'"):
        media.recipes(tmp_path, "fr")


@real
def test_rosmap_counts_are_those_of_its_page():
    rows = media.rosmap(DATA / "rosmap")
    assert Counter((r["split"] == "test", r["label"]) for r in rows) == {
        (False, "control"): 118, (False, "alzheimer"): 127, (True, "control"): 51, (True, "alzheimer"): 55,
    }  # fmt: skip
    assert Counter(r["split"] for r in rows) == {"train": 208, "valid": 37, "test": 106}
    assert all(len(row[name]) == 200 for row in rows for name in media.OMICS)
    assert len(media.folds(rows)) == 50


@real
@pytest.mark.parametrize(("language", "dishes", "pictures", "files"), [("en", 410, 138, 159), ("zh", 368, 181, 354)])
def test_recipe_counts_are_those_of_their_page(language, dishes, pictures, files):
    rows = media.recipes(DATA / "recipes", language)
    assert (len(rows), sum(bool(r["picture"]) for r in rows)) == (dishes, pictures)
    assert len(list((DATA / "recipes" / "img").glob(f"{language}_*.jpg"))) == files
    if language == "en":
        tags = Counter(tag for row in rows for tag in row["target"])
        assert len(tags) == 19
        assert min(tags.values()) == media.LEAST
        assert round(sum(tags.values()) / (19 * dishes), 3) == 0.086
    else:
        sizes = Counter(row["target"] for row in rows)
        assert (len(sizes), min(sizes.values()), max(sizes.values())) == (10, 9, 110)


@real
def test_clip_counts_are_those_of_their_page_and_no_actor_is_in_two_splits():
    rows = media.cremad(DATA / "cremad_votes")
    assert round(1 - len(rows) / 7442, 3) == 0.056  # majorities of both that tie
    with np.load(DATA / "cremad_votes" / "cremad_votes.npz") as file:
        actors = {f"cremad-{i}": actor for i, actor in enumerate(file["actor"].tolist())}
    found = {split: {actors[r["id"]] for r in rows if r["split"] == split} for split in ("train", "valid", "test")}
    assert sum(map(len, found.values())) == len(set.union(*found.values())) == 91
    assert all(sum(row[view][:6]) == pytest.approx(1, abs=1e-3) for row in rows for view in ("voice", "face"))


@real
@pytest.mark.parametrize("name", ["rosmap", "recipes_en", "recipes_zh", "cremad_votes"])
def test_the_specs_read_the_tables(name, tmp_path):
    read = {
        "rosmap": lambda: media.rosmap(DATA / "rosmap"), "cremad_votes": lambda: media.cremad(DATA / "cremad_votes"),
        "recipes_en": lambda: media.recipes(DATA / "recipes", "en"),
        "recipes_zh": lambda: media.recipes(DATA / "recipes", "zh"),
    }  # fmt: skip
    write_table(read[name](), DATA / "recipes" / "img" if "recipes" in name else None, tmp_path, "picture")
    (tmp_path / "spec.toml").write_text((SPECS / f"{name}.toml").read_text("utf-8"), "utf-8")
    spec = Spec.open(tmp_path / "spec.toml")
    data = load(spec)
    assert len(data.labels) == {"rosmap": 2, "recipes_en": 19, "recipes_zh": 10, "cremad_votes": 6}[name]
    assert all(data.splits.values())
