"""A store of samples: gives back what was written, bit for bit, and says what is wrong with a folder."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import contract
import pytest
import torch

import graphfuse as gf

RELATION = ("text", "on", "image")


def tensors(one: gf.Sample) -> dict[tuple, torch.Tensor]:
    fields = ("nodes", "links", "spans", "weights")
    return {(field, key): x for field in fields for key, x in getattr(one, field).items()}


def bits(x: torch.Tensor) -> tuple:
    return x.dtype, x.shape, x.contiguous().flatten().view(torch.uint8).tolist()


def same(left: gf.Sample, right: gf.Sample) -> bool:
    """Whether two samples are equal to the bit, types included."""
    a, b = tensors(left), tensors(right)
    if isinstance(left.target, torch.Tensor):
        a, b = a | {"target": left.target}, b | {"target": right.target}
    elif (type(left.target), left.target) != (type(right.target), right.target):
        return False
    return left.name == right.name and a.keys() == b.keys() and all(bits(a[key]) == bits(b[key]) for key in a)


def test_samples_come_back_to_the_bit_whatever_they_lack(tmp_path):
    samples = contract.samples(24)
    store = gf.SampleStore.write(tmp_path / "store", samples)
    assert len(store) == 24
    assert all(map(same, store, samples))
    assert same(store[-1], samples[-1])
    assert list(map(same, store[3:9:2], samples[3:9:2])) == [True] * 3
    assert all(map(same, gf.SampleStore(tmp_path / "store"), samples))


@pytest.mark.parametrize("dtype", [
    torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.uint8, torch.int32, torch.int64, torch.bool,
])  # fmt: skip
def test_every_type_of_number_is_kept(dtype, tmp_path):
    x = (10 * torch.randn(3, 4)).to(dtype)
    mixed = [gf.Sample("a", {"text": x}), gf.Sample("b", {"text": torch.randn(2, 4)}), gf.Sample("c", {"text": x[:1]})]
    assert all(map(same, gf.SampleStore.write(tmp_path / "store", mixed), mixed))


@pytest.mark.parametrize("target", [
    None, "a", "ä\n\"", "", 3, True, 0.1, float("inf"), ("a", "b"), (), ("a", ("b", 1.5)), ["a", None],
    torch.tensor([3, 1]), torch.tensor(2.5), torch.zeros(0, dtype=torch.long), torch.ones(2, 3),
], ids=repr)  # fmt: skip
def test_every_target_of_a_head_is_kept(target, tmp_path):
    samples = [gf.Sample("a", {"text": torch.zeros(1, 2)}, target="x"), gf.Sample("b", {}, target=target)]
    store = gf.SampleStore.write(tmp_path / "store", samples)
    assert same(store[1], samples[1])
    assert same(store[0], samples[0])


def test_zero_rows_and_an_absent_kind_are_kept_apart(tmp_path):
    samples = [
        gf.Sample("a", {"text": torch.zeros(0, 3)}),
        gf.Sample("b", {}),
        gf.Sample("c", {"text": torch.ones(1, 3)}),
    ]
    assert [list(s.nodes) for s in gf.SampleStore.write(tmp_path / "store", samples)] == [["text"], [], ["text"]]


def test_a_store_of_no_samples_is_a_store(tmp_path):
    assert list(gf.SampleStore.write(tmp_path / "store", [])) == []


def test_views_of_any_layout_are_written_as_they_read(tmp_path):
    links = torch.arange(12).view(6, 2).T
    one = gf.Sample("a", {"text": torch.randn(4, 6)[:, ::2], "image": torch.randn(2, 5).T}, {RELATION: links})
    assert same(gf.SampleStore.write(tmp_path / "store", [one])[0], one)


def test_what_is_read_lies_in_the_file_and_writing_to_it_changes_no_file(tmp_path):
    store = gf.SampleStore.write(tmp_path / "store", contract.samples())
    first, again = store[0].nodes["text"], store[0].nodes["text"]
    assert first.data_ptr() == again.data_ptr()
    before = [path.read_bytes() for path in sorted((tmp_path / "store").iterdir())]
    first.zero_()
    assert [path.read_bytes() for path in sorted((tmp_path / "store").iterdir())] == before
    assert same(gf.SampleStore(tmp_path / "store")[0], contract.samples()[0])


def test_writing_and_reading_need_no_more_memory_than_a_few_samples(tmp_path, run_python):
    done = run_python("""
import resource, sys, torch, graphfuse as gf
def made(count):
    for i in range(count):
        yield gf.Sample(str(i), {"text": torch.full((1000, 250), float(i))})  # 1 MB each
sum(float(s.nodes["text"].sum()) for s in gf.SampleStore.write(sys.argv[1] + "/warm", made(100)))  # the allocator keeps
def anonymous():
    return sum(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon"))
before = anonymous()
store = gf.SampleStore.write(sys.argv[1] + "/store", made(400))
total = sum(float(sample.nodes["text"][-1, -1]) for sample in store)
print((anonymous() - before) / 1000, total == sum(range(400)))
""", tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    megabytes, right = done.stdout.split()
    assert right == "True"
    assert float(megabytes) < 160  # of 400; the allocator keeps some of what was freed


def test_a_place_that_is_not_there(tmp_path):
    store = gf.SampleStore.write(tmp_path / "store", contract.samples(3))
    with pytest.raises(IndexError):
        store[3]
    with pytest.raises(IndexError):
        store[-4]


def failing() -> Iterator[gf.Sample]:
    yield contract.sample(0)
    raise ZeroDivisionError


@pytest.mark.parametrize(("samples", "error", "text"), [
    (failing(), ZeroDivisionError, ""),
    ([gf.Sample("case/7", {}, target={1})], gf.InputError, "^Sample 'case/7': a store has no target of type set"),
    ([gf.Sample("case/7", {"text": torch.zeros(1, 1, dtype=torch.cfloat)})], gf.InputError,
     r"^Sample 'case/7', nodes 'text': a store has no torch\.complex64\.$"),
])  # fmt: skip
def test_what_cannot_be_written_leaves_nothing_behind(samples, error, text, tmp_path):
    with pytest.raises(error, match=text):
        gf.SampleStore.write(tmp_path / "store", samples)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(gf.InputError, match=r": is there already; delete it or choose another folder\.$"):
        gf.SampleStore.write(tmp_path, contract.samples())
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.fixture
def folder(tmp_path) -> Path:
    gf.SampleStore.write(tmp_path / "store", contract.samples(5))
    return tmp_path / "store"


@pytest.mark.parametrize("name", ["0.data", "1.index", "samples.jsonl", "samples.index"])
@pytest.mark.parametrize("change", ["cut", "longer", "gone"])
def test_a_file_that_is_not_whole_is_named(name, change, folder):
    path = folder / name
    data = path.read_bytes()
    path.unlink()
    if change != "gone":
        path.write_bytes(data[:-1] if change == "cut" else data + b"\0")
    with pytest.raises(gf.InputError, match=rf"{name}: .*; the store is not whole\.$"):
        gf.SampleStore(folder)


@pytest.mark.parametrize(("text", "said"), [
    (None, "there is no such file"), ("{", "not valid JSON"),
    ("[]", r"store: is no store of the form 'graphfuse samples, version 1'; its store\.json says None\.$"),
    ('{"format": "graphfuse samples, version 9"}', "its store.json says 'graphfuse samples, version 9'"),
    ('{"format": "graphfuse samples, version 1"}', r"does not describe a store of samples \(KeyError\('samples'\)\)"),
])  # fmt: skip
def test_a_folder_that_is_no_store_is_named(text, said, folder):
    (folder / "store.json").unlink()
    if text is not None:
        (folder / "store.json").write_text(text)
    with pytest.raises(gf.InputError, match=said):
        gf.SampleStore(folder)


@pytest.mark.parametrize("change", [{"dtype": "object"}, {"numbers": -1}, {"axes": "x"}])
def test_a_column_that_cannot_be_is_named(change, folder):
    told = json.loads((folder / "store.json").read_text())
    told["columns"][0].update(change)
    (folder / "store.json").write_text(json.dumps(told))
    with pytest.raises(gf.InputError, match=r"does not describe a store of samples|the store is not whole"):
        gf.SampleStore(folder)


@pytest.mark.parametrize("name", ["0.index", "samples.jsonl", "samples.index"])
def test_a_damaged_sample_is_named_when_it_is_read(name, folder):
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(b"\x7f" * len(data))
    with pytest.raises(gf.InputError, match=r"store: sample 1 is damaged \(.*\); write the store anew\.$"):
        gf.SampleStore(folder)[1]


def test_a_store_may_be_moved(folder, tmp_path):
    shutil.move(folder, tmp_path / "elsewhere")
    assert all(map(same, gf.SampleStore(tmp_path / "elsewhere"), contract.samples(5)))


def test_facts_are_kept(tmp_path):
    samples = [replace(contract.sample(i), facts=facts) for i, facts in enumerate([{"age": 3, "sex": "女"}, {}])]
    store = gf.SampleStore.write(tmp_path / "s", samples)
    assert [sample.facts for sample in store] == [{"age": 3.0, "sex": "女"}, {}]


def test_facts_of_nodes_are_kept(tmp_path):
    known = {"text": {"is": ["noun", None], "length": torch.tensor([3.0, torch.nan])}}
    samples = [replace(contract.sample(i), node_facts=facts) for i, facts in enumerate([known, {}])]
    first, second = gf.SampleStore.write(tmp_path / "s", samples)
    assert second.node_facts == {}
    assert first.node_facts["text"]["is"] == ["noun", None]
    assert torch.equal(first.node_facts["text"]["length"].nan_to_num(-1), torch.tensor([3.0, -1]))
