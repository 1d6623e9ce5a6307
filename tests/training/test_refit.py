"""Training anew on training and validation samples: what validation chose stays, and it is taken up like any run."""

import json
from typing import Any

import pytest
import safetensors.torch
import tasks
import torch
from torch.testing import assert_close

import graphfuse as gf
from graphfuse.training import checkpoint

EXACT = {"rtol": 0, "atol": 0}
NOISE = tasks.split("valid", 16, 2, noisy=True)  # so that the best epoch is hardly the last
BUDGET = {"epochs": 6, "batch_size": 8, "learning_rate": 0.05}


def stop_after(monkeypatch: pytest.MonkeyPatch, epochs: int, anew: bool) -> None:
    """Training is cut off once it has saved so many epochs, of the first course or of the one anew."""
    save = checkpoint.save

    def save_and_stop(folder: Any, model: Any, optimizer: Any, progress: Any, run: Any) -> None:
        save(folder, model, optimizer, progress, run)
        if len(progress.rows) == epochs and (folder.name == "refit") is anew:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save", save_and_stop)


def test_the_weights_are_those_of_both_splits_at_the_epoch_that_validation_chose(tmp_path, monkeypatch):
    model = tasks.model()
    history = gf.fit(model, tasks.TRAIN, NOISE, refit=True, **BUDGET)
    assert 1 < history.best_epoch < 6, "the check would prove nothing"
    stop_after(monkeypatch, history.best_epoch, anew=False)
    with pytest.raises(KeyboardInterrupt):
        gf.fit(tasks.model(), [*tasks.TRAIN, *NOISE], tasks.TEST, tmp_path, **BUDGET)
    saved = safetensors.torch.load_file(tmp_path / "checkpoint.safetensors")
    expected = {name.removeprefix("model."): x for name, x in saved.items() if name.startswith("model.")}
    assert_close(dict(model.state_dict()) | {"temperature": torch.ones(())}, expected, **EXACT)


def test_metrics_answers_and_temperature_are_those_of_the_model_that_had_not_seen_validation(tmp_path):
    plain, anew = tasks.model(), tasks.model()
    before = gf.fit(plain, tasks.TRAIN, NOISE, tmp_path / "plain", **BUDGET)
    after = gf.fit(anew, tasks.TRAIN, NOISE, tmp_path / "anew", refit=True, **BUDGET)
    assert after.metrics == before.metrics
    assert after.best_epoch == before.best_epoch == len(after.refit)
    assert anew.temperature == plain.temperature
    for name in ("metrics.json", "predictions.jsonl"):
        assert (tmp_path / "anew" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()
    assert (tmp_path / "anew/model.safetensors").read_bytes() != (tmp_path / "plain/model.safetensors").read_bytes()
    assert not anew.training


def test_its_rows_are_kept_apart_and_their_seconds_count(tmp_path):
    history = gf.fit(tasks.model(), tasks.TRAIN, NOISE, tmp_path, refit=True, **BUDGET)
    lines = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert [row for row in lines if "refit" not in row] == list(history.rows)
    assert [row for row in lines if "refit" in row] == [{**row, "refit": True} for row in history.refit]
    assert not [key for row in history.refit for key in row if key.startswith("valid_")]
    assert history.seconds == pytest.approx(sum(row["seconds"] for row in lines))


@pytest.mark.parametrize("anew", [False, True])
def test_it_is_taken_up_where_it_stopped(anew, tmp_path, monkeypatch):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    gf.fit(tasks.model(), tasks.TRAIN, NOISE, whole, refit=True, **BUDGET)
    stop_after(monkeypatch, 2, anew)
    with pytest.raises(KeyboardInterrupt):
        gf.fit(tasks.model(), tasks.TRAIN, NOISE, cut, refit=True, **BUDGET)
    monkeypatch.undo()
    model = tasks.model()
    gf.fit(model, tasks.TRAIN, NOISE, cut, refit=True, **BUDGET)
    assert (cut / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    again = gf.fit(tasks.model(), tasks.TRAIN, NOISE, cut, refit=True, **BUDGET)
    assert len(again.refit) == again.best_epoch
    assert_close(safetensors.torch.load_file(cut / "model.safetensors"), dict(model.state_dict()), **EXACT)


def test_a_folder_without_it_is_another_run(tmp_path):
    gf.fit(tasks.model(), tasks.TRAIN, NOISE, tmp_path, **BUDGET)
    with pytest.raises(gf.InputError, match=r"holds another run \(refit was False, now True\)"):
        gf.fit(tasks.model(), tasks.TRAIN, NOISE, tmp_path, refit=True, **BUDGET)
