"""``check_fusion`` passes what is sound and catches what is wrong, each fault by the check that is meant for it."""

import random
from functools import partial

import pytest
import torch
from wrong import CAUGHT, Noisy, Relabelled, Sound

import graphfuse as gf
from graphfuse.testing import CHECKS, Report, check_fusion


@pytest.fixture(scope="module")
def sound() -> Report:
    return check_fusion(Sound)


def test_a_sound_layer_passes_every_check(sound):
    sound.raise_if_failed()
    assert sound.ok
    assert [finding.name for finding in sound] == list(CHECKS)
    assert all(finding.found for finding in sound)


@pytest.mark.parametrize(("check", "layer", "options"), CAUGHT,
                         ids=[f"{part.__name__}-{name}" for name, part, _ in CAUGHT])  # fmt: skip
def test_a_wrong_layer_is_caught_by_the_check_that_is_meant_for_it(check, layer, options):
    report = check_fusion(layer, only=[check], **options)
    assert not report.ok
    assert [finding.name for finding in report.failed] == [check]


def test_every_check_catches_something():
    assert {check for check, _, _ in CAUGHT} == set(CHECKS)


def test_there_are_many_checks_and_each_is_a_claim():
    assert len(CHECKS) >= 30
    for check in CHECKS.values():
        first, *rest = check.__doc__.splitlines()
        assert first.endswith("."), check
        assert not rest, check


def test_the_report_is_a_table(sound):
    lines = str(sound).splitlines()
    assert lines[0] == f"Sound: {len(CHECKS)} of {len(CHECKS)} checks passed"
    assert lines[1].startswith("ok    alone_and_in_company ")
    assert len(lines) == 1 + len(CHECKS)


def test_a_failed_report_raises_with_claim_and_finding():
    report = check_fusion(Noisy, only=["evaluation_is_deterministic", "one_layer"])
    assert str(report).splitlines()[0] == "Noisy: 1 of 2 checks passed"
    assert "FAIL  evaluation_is_deterministic  again, vector: off by " in str(report)
    claim = r"Noisy: 1 of 2 checks passed\.\n  evaluation_is_deterministic: The same .*"
    with pytest.raises(AssertionError, match=claim + r"Found: again, vector: off by .*, allowed 0e\+00\."):
        report.raise_if_failed()


def test_an_error_of_the_layer_is_found_with_its_place():
    (finding,) = check_fusion(Relabelled, only=["one_layer"], colour="red").failed
    assert finding.found.startswith("TypeError: ")
    assert "unexpected keyword argument 'colour'" in finding.found


@pytest.mark.parametrize("fusion", ["sage", Sound, partial(gf.Stack, Sound), Relabelled])
def test_names_layers_and_fusions_are_all_taken(fusion):
    assert check_fusion(fusion, only=["one_layer"]).ok


def test_a_name_after_one_entry_in_the_catalog(monkeypatch):
    monkeypatch.setitem(gf.FUSIONS, "sound", Sound)
    report = check_fusion("sound", only=["one_layer", "saved_and_opened_is_bit_equal"])
    report.raise_if_failed()
    assert report.fusion == "sound"


def test_skipped_checks_are_said_and_not_run():
    report = check_fusion(Noisy, only=["one_layer", "any_order"], skip=["any_order"])
    assert [finding.name for finding in report] == ["one_layer"]
    assert str(report).endswith("skip  any_order")


def test_an_unknown_check_is_named_with_the_nearest():
    with pytest.raises(gf.InputError, match=r"There is no check called 'any_oder'\. Did you mean 'any_order'"):
        check_fusion(Sound, only=["any_oder"])


def test_an_unknown_fusion_is_named_with_the_nearest():
    with pytest.raises(gf.InputError, match=r"There is no fusion called 'htg'\. Did you mean 'hgt'"):
        check_fusion("htg")


def test_a_module_that_is_made_already_is_refused():
    with pytest.raises(gf.InputError, match=r"The fusion is a Sound that is made already; give what makes it"):
        check_fusion(Sound(8, gf.Schema({"text": 3})))


def test_what_gives_no_fused_is_refused():
    def layer(dim, schema, **options):
        return Sound(dim, schema)

    with pytest.raises(gf.InputError, match=r"^layer gives a FusionGraph, expected Fused; a layer that takes \*\*"):
        check_fusion(layer)


def test_it_leaves_the_callers_random_state_and_finds_the_same_again():
    before, state = torch.get_rng_state(), random.getstate()
    reports = [check_fusion(Noisy, only=["any_order", "evaluation_is_deterministic"]) for _ in range(2)]
    assert torch.equal(torch.get_rng_state(), before)
    assert random.getstate() == state
    assert reports[0] == reports[1]
