"""Schedules: their values, their text, and that they survive being saved."""

import math

import keras
import pytest
import tensorflow as tf

from models.schedules import Constant, Cosine, Cyclic, Linear, as_schedule

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
    ("make", "message"),
    [
        (lambda: Linear(0.0, 1.0, steps=0), "`steps` must be at least 1. Received: steps=0."),
        (lambda: Cyclic(0.0, 1.0, period=0), "`period` must be at least 1. Received: period=0."),
        (lambda: Cyclic(0.0, 1.0, period=9, rise=0.0), "`rise` must be above 0 and at most 1. Received: rise=0.0."),
    ],
)
def test_impossible_schedules_are_refused(make, message):
    with pytest.raises(ValueError, match="must be") as error:
        make()
    assert str(error.value) == message
