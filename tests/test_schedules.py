"""Schedules: their values, their text, and that they survive being saved."""

import math

import keras
import pytest
import tensorflow as tf

from models.schedules import Constant, Cosine, Cyclic, Lagrangian, Linear, as_schedule, settled

SCHEDULES = [Constant(4.0), Linear(0.0, 2.0, steps=8), Cosine(1.0, 0.0, steps=10), Cyclic(0.0, 1.0, period=10)]


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        (Constant(4.0), {0: 4.0, 10**9: 4.0}),
        (Linear(1.0, 3.0, steps=8), {0: 1.0, 2: 1.5, 8: 3.0, 100: 3.0}),
        (Linear(25.0, 0.0, steps=5), {0: 25.0, 1: 20.0, 5: 0.0}),
        (Cosine(0.0, 2.0, steps=8), {0: 0.0, 2: 1 - math.cos(math.pi / 4), 4: 1.0, 8: 2.0, 9: 2.0}),
        (Cyclic(0.0, 1.0, period=10, rise=0.5), {0: 0.0, 1: 0.2, 5: 1.0, 9: 1.0, 10: 0.0, 11: 0.2}),
    ],
)
def test_schedule_has_its_closed_form(schedule, values):
    assert {step: schedule.at(step) for step in values} == pytest.approx(values, abs=1e-6)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_schedule_is_the_same_after_saving(schedule):
    config = keras.saving.serialize_keras_object(schedule)
    assert config["registered_name"] == f"metaprior>{type(schedule).__name__}"
    assert keras.saving.deserialize_keras_object(config) == schedule


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_schedule_is_the_same_inside_a_compiled_function(schedule):
    compiled = tf.function(lambda step: tf.cast(schedule(step), tf.float32), jit_compile=True)
    for step in (0, 3, 17):
        assert float(compiled(tf.constant(step, tf.int64))) == pytest.approx(schedule.at(step), abs=1e-6)


def test_schedules_read_like_formulas():
    assert [str(schedule) for schedule in SCHEDULES] == [
        "4",
        "linear(0 -> 2 in 8)",
        "cosine(1 -> 0 in 10)",
        "cyclic(0 -> 1 every 10)",
    ]


def test_a_number_is_a_constant_schedule():
    assert as_schedule(3) == Constant(3.0)
    assert as_schedule(SCHEDULES[1]) is SCHEDULES[1]


@pytest.mark.parametrize(
    ("mapping", "schedule"),
    [
        ({"schedule": "constant", "value": 2.0}, Constant(2.0)),
        ({"schedule": "linear", "start": 0.0, "end": 4.0, "steps": 10}, Linear(0.0, 4.0, steps=10)),
        ({"schedule": "cosine", "start": 1.0, "end": 0.0, "steps": 7}, Cosine(1.0, 0.0, steps=7)),
        (
            {"schedule": "cyclic", "start": 0.0, "end": 1.0, "period": 8, "rise": 0.25},
            Cyclic(0.0, 1.0, period=8, rise=0.25),
        ),
    ],
)
def test_a_mapping_reads_as_the_schedule_it_names(mapping, schedule):
    assert as_schedule(mapping) == schedule


@pytest.mark.parametrize(
    ("schedule", "value"),
    [
        (Constant(4.0), 4.0),
        (Linear(0.0, 2.0, steps=8), 2.0),
        (Cosine(1.0, 0.0, steps=10), 0.0),
        (Cyclic(0.0, 1.0, period=10), 1.0),
    ],
)
def test_a_schedule_settles_at_its_last_value(schedule, value):
    assert settled(schedule) == value


def test_a_lagrangian_rises_above_the_target_and_falls_below_it():
    multiplier = as_schedule({"schedule": "lagrangian", "target": 5.0, "rate": 0.1, "start": 2.0})
    assert multiplier.at(0) == float(settled(multiplier)) == pytest.approx(2.0)
    multiplier.observe(tf.constant(8.0))
    assert multiplier.at(0) == pytest.approx(2.0 * math.exp(0.3))
    multiplier.observe(tf.constant(2.0))
    multiplier.observe(tf.constant(4.0))
    assert multiplier.at(0) == pytest.approx(2.0 * math.exp(-0.1))
    assert str(multiplier) == "lagrangian(target 5)"


def test_a_lagrangian_stays_within_bounds():
    multiplier = Lagrangian(target=0.0, rate=1.0)
    multiplier.observe(tf.constant(1e6))
    assert multiplier.at(0) == pytest.approx(math.exp(Lagrangian.LOGARITHM), rel=1e-5)


def test_a_lagrangian_is_the_same_after_saving():
    config = keras.saving.serialize_keras_object(Lagrangian(target=3.0, rate=0.2, start=0.5))
    twin = keras.saving.deserialize_keras_object(config)
    assert (twin.target, twin.rate, twin.start, twin.at(0)) == (3.0, 0.2, 0.5, pytest.approx(0.5))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Linear(0.0, 1.0, steps=0), "`steps` must be at least 1. Received: steps=0."),
        (lambda: Lagrangian(1.0, rate=0.0), "`rate` and `start` must be above 0. Received: rate=0.0, start=1.0."),
        (lambda: Cyclic(0.0, 1.0, period=0), "`period` must be at least 1. Received: period=0."),
        (lambda: Cyclic(0.0, 1.0, period=9, rise=0.0), "`rise` must be above 0 and at most 1. Received: rise=0.0."),
    ],
)
def test_impossible_schedules_are_refused(make, message):
    with pytest.raises(ValueError, match="must be") as error:
        make()
    assert str(error.value) == message
