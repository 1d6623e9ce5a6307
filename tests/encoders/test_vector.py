import numpy as np
import pytest
import torch

from graphfuse.core.errors import InputError
from graphfuse.encoders import Vector


def test_a_vector_is_one_node_and_a_matrix_is_many(tmp_path):
    np.save(tmp_path / "one.npy", np.arange(3, dtype=np.float64))
    np.save(tmp_path / "many.npy", np.arange(6, dtype=np.int32).reshape(2, 3))
    one, many, given, empty = Vector(3).encode(
        [str(tmp_path / "one.npy"), tmp_path / "many.npy", torch.ones(1, 3), np.empty((0, 3))]
    )
    assert one.tolist() == [[0, 1, 2]]
    assert many.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert (given.tolist(), empty.shape) == ([[1, 1, 1]], (0, 3))


def test_an_npz_gives_the_named_array_or_that_of_the_sample_or_its_only_one(tmp_path):
    np.savez(tmp_path / "all.npz", s1=np.zeros(2), s2=np.ones(2))
    np.savez(tmp_path / "only.npz", x=np.full(2, 5.0))
    values = [f"{tmp_path}/all.npz#s1", f"{tmp_path}/all.npz", f"{tmp_path}/only.npz", f"{tmp_path}/only.npz#x"]
    features = Vector(2).encode(values, ["a", "s2", "c", "d"])
    assert [f[0, 0].item() for f in features] == [0, 1, 5, 5]


def test_features_are_copies_that_can_be_written_to():
    array = np.zeros((1, 2), np.float32)
    Vector(2).encode([array])[0].add_(1)
    assert not array.any()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.zeros(4), r"case/7: features of width 3 were expected, 4 found"),
        (np.zeros((2, 2, 3)), r"case/7: the array has shape \[2, 2, 3\]; \[3\] or \[n, 3\] is needed"),
        (np.float32(1), r"case/7: the array has shape \[\]"),
        (np.array([[1, 2, 3], [1, np.nan, 3]]), r"case/7: row 1 of the features has NaN or infinity"),
        (np.array([1, np.inf, 3]), r"case/7: row 0 of the features"),
        (np.array([1, 1e300, 3]), r"case/7: row 0 of the features"),
        (np.array(["a", "b", "c"]), r"case/7: an array of type <U1 is not numbers"),
        ([[1, 2, 3], [4]], r"case/7: an array of type object is not numbers"),
    ],
)
def test_a_wrong_array_is_named_with_its_sample(value, message):
    with pytest.raises(InputError, match=message):
        Vector(3).encode([np.zeros(3), value], ["case/6", "case/7"])


def test_a_pickled_array_is_refused(tmp_path):
    np.save(tmp_path / "bad.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "bad.npz", x=np.array([{"a": 1}], dtype=object))
    for file in ("bad.npy", "bad.npz"):
        with pytest.raises(InputError, match=rf"value 0: .*{file} .*pickled objects are never read"):
            Vector(1).encode([tmp_path / file])


def test_a_file_that_is_missing_torn_or_something_else_is_named(tmp_path):
    (tmp_path / "words.npy").write_text("not an array")
    np.save(tmp_path / "torn.npy", np.zeros((100, 3)))
    (tmp_path / "torn.npy").write_bytes((tmp_path / "torn.npy").read_bytes()[:500])
    np.savez(tmp_path / "torn.npz", x=np.zeros((100, 3)))
    (tmp_path / "torn.npz").write_bytes((tmp_path / "torn.npz").read_bytes()[:900])
    told = b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999,), }".ljust(117) + b"\n"
    (tmp_path / "huge.npy").write_bytes(b"\x93NUMPY\x01\x00v\x00" + told + bytes(32))
    for file in ("words.npy", "torn.npy", "torn.npz", "huge.npy"):
        with pytest.raises(InputError, match=rf"value 0: .*{file} is not a whole .npy or .npz file"):
            Vector(3).encode([tmp_path / file])
    with pytest.raises(InputError, match=r"value 0: .*none.npy: there is no such file"):
        Vector(3).encode([tmp_path / "none.npy"])


def test_a_key_that_an_npz_lacks_is_named_with_the_nearest(tmp_path):
    np.savez(tmp_path / "all.npz", scan1=np.zeros(3), scan2=np.zeros(3))
    with pytest.raises(InputError, match=r"value 0: .*all.npz has no array 'scan_1'\. Did you mean 'scan1'"):
        Vector(3).encode([f"{tmp_path}/all.npz#scan_1"])


@pytest.mark.parametrize("width", [0, -1, 2.5, "3", True])
def test_a_width_that_is_no_count_is_refused(width):
    with pytest.raises(InputError, match=rf"width is {width!r}; it must be a whole number of at least 1"):
        Vector(width)
