"""Temperature: lowest log loss on validation, no other answer; saved with the model."""

import math
from dataclasses import replace

import pytest
import tasks
import torch

import graphfuse as gf
from graphfuse.training.calibrate import calibrate


def test_the_temperature_is_the_one_with_the_lowest_log_loss_and_changes_no_answer():
    model = tasks.model()
    gf.fit(model, tasks.TRAIN, tasks.VALID, epochs=4, batch_size=8, learning_rate=0.02)
    with torch.no_grad():
        model.readout.out.weight *= 7.0  # far too sure of itself
    model.temperature.fill_(1.0)
    before, answers = gf.evaluate(model, tasks.VALID), [a.value for a in model.predict(tasks.VALID)]
    measured = calibrate(model, tasks.VALID)
    best, after = float(model.temperature), gf.evaluate(model, tasks.VALID)
    assert measured.metrics == after
    assert after["log_loss"] < before["log_loss"]
    assert [a.value for a in model.predict(tasks.VALID)] == answers

    def regret(temperature: float) -> float:
        model.temperature.fill_(temperature)
        return gf.evaluate(model, tasks.VALID)["log_loss"] * len(tasks.VALID) + math.log(temperature) ** 2 / 2

    assert regret(best) < min(regret(0.9 * best), regret(1.1 * best))
    calibrate(model, tasks.VALID)
    assert float(model.temperature) == pytest.approx(best)  # whatever it was before


def test_fit_calibrates_and_the_folder_keeps_it(tmp_path):
    model = tasks.model()
    gf.fit(model, tasks.TRAIN, tasks.VALID, tmp_path, epochs=2)
    assert model.temperature != 1
    again = gf.FusionModel.from_pretrained(tmp_path)
    assert again.temperature == model.temperature
    assert again.predict(tasks.TEST) == model.predict(tasks.TEST)


def test_a_head_without_confidence_is_left_alone():
    with gf.seeded(0):
        model = gf.FusionModel(tasks.PLAN, gf.heads.Regress(), "sage", dim=8, layers=1)
    valid = [replace(sample, target=1.0) for sample in tasks.VALID]
    assert calibrate(model, valid).metrics == gf.evaluate(model, valid)
    assert model.temperature == 1


def test_a_perfect_split_does_not_make_a_model_wholly_sure():
    model = tasks.model()
    gf.fit(model, tasks.TRAIN, tasks.VALID, epochs=15, batch_size=8, learning_rate=0.02)
    right = [s for s, a in zip(tasks.VALID, model.predict(tasks.VALID)) if a.value == s.target][:6]
    calibrate(model, right)
    assert model.temperature > 0.2


def test_samples_without_a_right_label_do_not_weigh(monkeypatch):
    model = tasks.model()
    gf.fit(model, tasks.TRAIN, tasks.VALID, epochs=4, batch_size=8, learning_rate=0.02)
    with torch.no_grad():
        model.readout.out.weight *= 7.0
    calibrate(model, tasks.TEST)
    alone = float(model.temperature)
    unknown = [replace(sample, target=()) for sample in (*tasks.TRAIN, *tasks.VALID)]
    calibrate(model, [*unknown, *tasks.TEST])
    assert float(model.temperature) == pytest.approx(alone, rel=1e-4)


def test_a_fitted_model_is_trained_further_without_its_temperature():
    trained = []
    for temperature in (1.0, 20.0):
        model = tasks.model()
        model.temperature.fill_(temperature)
        gf.fit(model, tasks.TRAIN, tasks.VALID, epochs=2)
        trained.append(model.state_dict())
    torch.testing.assert_close(trained[0], trained[1], rtol=0, atol=0)
