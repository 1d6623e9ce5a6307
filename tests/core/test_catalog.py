"""Names that are not there are answered with those that are near."""

import pytest

import graphfuse as gf
from graphfuse.core.catalog import did_you_mean, look_up

KNOWN = ["hgt", "rgcn", "sage", "relation_gate"]


def test_the_nearest_names_come_first():
    assert did_you_mean("sgae", KNOWN) == " Did you mean 'sage'? Known: hgt, rgcn, sage, relation_gate."
    assert did_you_mean("relationgate", KNOWN).startswith(" Did you mean 'relation_gate'?")
    assert did_you_mean("RGCN", KNOWN).startswith(" Did you mean 'rgcn'?")


def test_nothing_near_and_nothing_known():
    assert did_you_mean("xyzzy", KNOWN) == " Known: hgt, rgcn, sage, relation_gate."
    assert did_you_mean("xyzzy", []) == " Known: none."


def test_long_catalogs_are_not_listed():
    many = [f"part{i}" for i in range(31)]
    assert did_you_mean("part3", many).startswith(" Did you mean 'part3'")
    assert "Known" not in did_you_mean("part3", many)


def test_look_up_gives_the_part_or_says_what_lacks():
    assert look_up({"a": 1}, "a", "letter") == 1
    with pytest.raises(gf.InputError, match=r"^There is no letter called 'b'\. Known: a\.$"):
        look_up({"a": 1}, "b", "letter")


def test_an_input_error_is_a_value_error():
    assert issubclass(gf.InputError, ValueError)
