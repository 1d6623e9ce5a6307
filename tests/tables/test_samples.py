import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from small_table import picture

import graphfuse as gf
from graphfuse.core.errors import InputError
from graphfuse.encoders import Image, NGrams, Vector
from graphfuse.encoders.efficientnet_lite import EfficientNetLite0
from graphfuse.tables.cells import path_problem, values_of
from graphfuse.tables.parts import Node
from graphfuse.tables.read import Row
from graphfuse.tables.samples import encoders_of, load, load_rows, located, preprocessing, reopen, samples_of
from graphfuse.tables.spec import Spec


def made(spec):
    data = load(spec)
    encoders = encoders_of(spec, data)
    return data, encoders, samples_of(data.rows, spec.nodes, encoders, data.folder, data.targets)


@pytest.fixture
def single(tmp_path):
    """One kind of nodes ``x``, read from JSON lines: ``single(cells, section) -> samples``."""

    def single(cells, section, rows=("train", "train", "valid", "test")):
        lines = [{"x": cell, "y": "ab"[i % 2], "s": rows[min(i, 3)], "id": f"r{i}"} for i, cell in enumerate(cells)]
        (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, lines)))
        (tmp_path / "spec.toml").write_text(
            'table = "t.jsonl"\n[target]\ncolumn = "y"\nunseen = "wrong"\n[rows]\nsplit = "s"\nid = "id"\n'
            f'[nodes.x]\ncolumn = "x"\n{section}'
        )
        return made(Spec.open(tmp_path / "spec.toml"))

    return single


def test_a_row_becomes_a_sample_and_an_empty_cell_no_node(folder):
    data, encoders, samples = made(folder.open())
    assert [(s.name, s.target) for s in samples[:2]] == [("r0", "cat"), ("r1", "dog")]
    assert {kind: len(x) for kind, x in samples[0].nodes.items()} == {"table": 2}  # neither note nor picture
    assert {kind: len(x) for kind, x in samples[1].nodes.items()} == {"note": 1, "picture": 1, "table": 2}
    expected = NGrams(width=64).encode(["note number 1"])[0]
    assert torch.equal(samples[1].nodes["note"], expected)
    shown = Image(weights="random", size=32, grid=0).encode([folder.path / "img/1.png"], cache=False)[0]
    torch.testing.assert_close(samples[1].nodes["picture"], shown, atol=1e-5, rtol=1e-5)
    schema = gf.Schema({kind: encoder.width for kind, encoder in encoders.items()}, [])
    assert len(gf.collate(samples, schema)) == len(data.rows)


def test_a_table_learns_from_training_rows_alone(folder):
    folder.put(13, size="1e6", site="unseen")
    _, encoders, samples = made(folder.open())
    assert encoders["table"].config() == {"numeric": {"size": [1.25, pytest.approx(0.8539, abs=1e-4)]},
                                          "categorical": {"site": ["n", "s"]}}  # fmt: skip
    assert samples[11].nodes["table"].tolist() == [[1, 10, 0, 0, 0], [0, 0, 1, 0, 0]]


def test_a_cell_of_a_test_row_that_is_no_number_is_named(folder):
    with pytest.raises(InputError, match=r"^table.csv row 13, column size: 'three' is not a number"):
        made(folder.put(13, size="three").open())


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("img/none.png", "'img/none.png' is missing; there is no such file"),
        ("{out}/secret.png", "secret.png' is an absolute path; write it relative to the table's folder"),
        ("../secret.png", "'../secret.png' leads out of the table's folder"),
        ("img/../../secret.png", "leads out of the table's folder"),
        ("link.png", "'link.png' leads out of the table's folder"),
        ("linked/secret.png", "leads out of the table's folder"),
        ("https://x.org/a.png", "is an address; download the file"),
        ("img\\1.png", r"is no file here; write / between folders"),
        ("C:\\a.png", "is an absolute path"),
        ("HTTPS://x.org/a.png", "is an address"),
        ("img", "is a folder; a file is needed"),
        ("x" * 5000 + ".png", r"'x{60}\.\.\.x{13}\.png' is missing"),
    ],
)
def test_a_path_has_to_be_there_and_inside_the_folder(folder, tmp_path_factory, monkeypatch, path, message):
    out = tmp_path_factory.mktemp("outside")
    for place in (out, folder.path.parent):
        picture(place / "secret.png", 9)
    os.symlink(out / "secret.png", folder.path / "link.png")
    os.symlink(out, folder.path / "linked")
    spec = folder.put(12, picture=path.format(out=out)).open()
    monkeypatch.setattr(Image, "encode", lambda *_: pytest.fail("it was encoded before all paths were checked"))
    with pytest.raises(InputError, match=r"table.csv row 12, column picture: .*" + message):
        made(spec)


def test_a_link_that_stays_inside_is_fine(folder):
    os.symlink(folder.path / "img", folder.path / "also")
    assert len(made(folder.put(3, picture="also/1.png").open())[2][1].nodes["picture"]) == 1


def test_a_null_byte_in_a_path_is_no_file(tmp_path):
    assert path_problem("a\0b.png", tmp_path) == "is missing; there is no such file."


def test_a_broken_picture_is_named(folder):
    (folder.path / "img/10.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"^table.csv row 12, column picture: .*this is no picture in a format"):
        made(folder.open())


def test_a_list_of_texts_or_pictures_gives_the_nodes_of_all(single, tmp_path):
    _, _, samples = single([["a", "b b", ""], "a", [], [None, "c"]], 'encoder = "ngrams"\nwidth = 32\n[nodes.y2]\n'
                           'encoder = "ngrams"\ncolumn = "id"')  # fmt: skip
    assert [len(s.nodes.get("x", ())) for s in samples] == [2, 1, 0, 1]
    assert torch.equal(samples[0].nodes["x"][:1], samples[1].nodes["x"])
    for i in range(2):
        picture(tmp_path / f"{i}.png", i)
    section = 'encoder = "image"\nweights = "random"\nsize = 32\ngrid = 1\n'
    assert len(single([["0.png", "1.png"], "0.png", "1.png", "0.png"], section)[2][0].nodes["x"]) == 4
    with pytest.raises(InputError, match=r"t.jsonl row 1, column x: 'none.png' is missing"):
        single([["0.png", "none.png"], "0.png", "1.png", "0.png"], section)


def test_numbers_are_texts_for_a_text_encoder(single):
    assert all(len(s.nodes["x"]) == 1 for s in single([1, 2.0, True, "x"], 'encoder = "ngrams"')[2])
    with pytest.raises(InputError, match=r"t.jsonl row 2, column x: \{'a': 1\} is not one value"):
        single(["x", {"a": 1}, "x", "x"], 'encoder = "ngrams"')


def test_features_come_from_files_lists_and_texts_and_their_width_from_training(single, tmp_path):
    np.save(tmp_path / "f.npy", np.ones((2, 3)))
    np.savez(tmp_path / "f.npz", r1=np.zeros(3), other=np.ones(3))
    cells = ["f.npy", "f.npz", "[1, 2, 3]", [4, 5, 6], "f.npz#other", [[1, 2, 3], [4, 5, 6]], "7;8 9"]
    _, encoders, samples = single(cells, 'encoder = "vector"')
    assert encoders["x"].width == 3
    assert [s.nodes["x"].tolist() for s in samples] == [
        [[1, 1, 1], [1, 1, 1]], [[0, 0, 0]], [[1, 2, 3]], [[4, 5, 6]], [[1, 1, 1]], [[1, 2, 3], [4, 5, 6]], [[7, 8, 9]],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("many words", r"row 4, column x: 'many words' is neither numbers such as '0.1 0.2' nor a .npy or .npz file"),
        ([1, 2], r"row 4, column x: features of width 3 were expected, 2 found"),
        ("f.npz", r"row 4, column x: f.npz has no array 'r3'\. Known: r1, r2"),
        ("f.npz#r9", r"row 4, column x: .*f.npz has no array 'r9'"),
        ("nan.npy", r"row 4, column x: row 0 of the features has NaN or infinity"),
        ("none.npz", r"row 4, column x: .*none.npz has no array 'r3'\. Known: none"),
        ("torn.npz", r"row 4, column x: .*torn.npz is not a whole .npy or .npz file"),
    ],
)
def test_wrong_features_are_named(single, tmp_path, cell, message):
    np.savez(tmp_path / "f.npz", r1=np.zeros(3), r2=np.ones(3))
    np.save(tmp_path / "nan.npy", [1, np.nan, 2])
    (tmp_path / "torn.npz").write_bytes(b"PK torn")
    np.savez(tmp_path / "none.npz")
    with pytest.raises(InputError, match="t.jsonl " + message):
        single([[1, 2, 3], "1 2 3", "1 2 3", cell], 'encoder = "vector"')


def test_a_row_in_which_no_encoder_finds_anything_is_named(single):
    with pytest.raises(InputError, match=r"t.jsonl row 3: no encoder finds anything in it, neither a word nor"):
        single(["some words", "more", "\u200b", "words"], 'encoder = "ngrams"')


def test_features_that_training_lacks_are_named(single):
    with pytest.raises(InputError, match=r"spec.toml: \[nodes.x\] no training row has features in the column 'x'"):
        single([None, None, [1, 2], [1, 2]], 'encoder = "vector"\n[nodes.z]\nencoder = "ngrams"\ncolumn = "id"')


def test_a_wrong_option_of_an_encoder_is_named_with_its_kind(folder):
    with pytest.raises(InputError, match=r"spec.toml: \[nodes.note\] width is 1; it must be a whole number"):
        made(folder.change("width = 64", "width = 1").open())
    with pytest.raises(InputError, match=r"spec.toml: \[nodes.note\] ./none: there is no such folder"):
        made(folder.change('encoder = "ngrams"', 'encoder = "text"').change("width = 1", 'model = "./none"').open())


def test_of_a_trained_encoder_the_sample_has_raw_rows(folder):
    _, encoders, samples = made(folder.change("grid = 0", "grid = 0\ntrainable = true").open())
    assert encoders["picture"].trainable
    assert samples[1].nodes["picture"].shape == (1, 3 * 32 * 32)
    assert samples[1].nodes["picture"].dtype == torch.uint8


def test_a_run_folder_alone_can_read_a_new_table(folder, tmp_path):
    spec = folder.open()
    _, encoders, samples = made(spec)
    told = json.loads(json.dumps(preprocessing(spec, encoders)))
    assert (told["target"]["column"], told["rows"]["id"]) == ("label", "id")
    nodes, again = reopen(told)
    lines = (tmp_path / "table.csv").read_text().splitlines()
    (tmp_path / "new.csv").write_text("\n".join([lines[0], lines[2], lines[3].rpartition(",")[0] + ","]))
    rows = load_rows(tmp_path / "new.csv", nodes, told["rows"]["id"])
    fresh = samples_of(rows, nodes, again, tmp_path)
    for one, other in zip(fresh, samples[1:3], strict=True):
        assert (one.name, one.target) == (other.name, None)
        assert all(torch.equal(one.nodes[kind], other.nodes[kind]) for kind in other.nodes)
    assert reopen(told, {"note": encoders["note"]})[1]["note"] is encoders["note"]
    with pytest.raises(InputError, match="This is not how a table was read"):
        reopen({"nodes": told["nodes"]})


def test_the_weights_of_a_run_are_found_from_any_folder(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.pth").write_bytes(b"weights")
    node = folder.change('weights = "random"', 'weights = "w.pth"').open().nodes[1]
    assert located(node, Spec.open("spec.toml")) == {"weights": str(tmp_path.resolve() / "w.pth")}


def test_a_folder_called_as_the_users_own_is_one_in_the_tables_folder(tmp_path, monkeypatch):
    (tmp_path / "home").mkdir()
    (tmp_path / "run#1" / "~").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "run#1")
    np.save(tmp_path / "home/f.npy", np.zeros(2))
    np.save("~/f.npy", np.ones(2))
    np.savez("~/f.npz", x=np.full(2, 3.0))
    node, cells = Node("f", "vector", "f"), ("~/f.npy", "~/f.npz#x")
    values = [values_of(node, Row({"f": cell}, 1, "t"), Path())[0].value for cell in cells]
    assert [rows.tolist() for rows in Vector(2).encode(values)] == [[[1, 1]], [[3, 3]]]


def test_an_encoder_whose_weights_changed_after_training_is_refused(folder, tmp_path):
    def write(seed: int) -> None:
        with gf.seeded(seed):
            torch.save(EfficientNetLite0().state_dict(), tmp_path / "w.pth")

    write(0)
    spec = folder.change('weights = "random"', f'weights = "{tmp_path / "w.pth"}"').open()
    told = json.loads(json.dumps(preprocessing(spec, made(spec)[1])))
    reopen(told)
    write(1)
    with pytest.raises(InputError, match=r"\[nodes\.\w+\]: its encoder is another now than in training"):
        reopen(told)
