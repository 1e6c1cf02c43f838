"""FactorVAE's two players: the model and its critic share no step, no gradient and no variable."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from worlds import vectors

from models import recipes
from models.autoencoder import Autoencoder
from models.checkpoints import Checkpoints, State
from models.estimators import critic_loss, permute_dimensions

# Keras reads its variables by a protocol that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

BATCHES = [{key: values[start : start + 16] for key, values in vectors().batch.items()} for start in (0, 16, 32, 48)]


def factor_vae(gamma: float = 5.0) -> Autoencoder:
    parameters = {"gamma": gamma, "critic_units": 16, "critic_layers": 2, "critic_learning_rate": 1e-2}
    model = recipes.build("factor_vae", vectors().spec, latent=4, seed=1, **parameters)
    model.compile(keras.optimizers.Adam(1e-2))
    model.optimizer.build(model.trainable_variables)
    return model


def opponent(model: Autoencoder) -> list[keras.Variable]:
    return model.critics[0].network.weights


def values(variables) -> list[np.ndarray]:
    return [np.array(variable.numpy()) for variable in variables]


def same(ours, theirs) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def step(model: Autoencoder, batch, training: bool = True) -> None:
    """One step of the model's optimizer; in training the critic takes its own on the way."""
    with tf.GradientTape() as tape:
        model(batch, training=training)
        loss = tf.add_n(model.losses)
    weights = [variable.value for variable in model.trainable_variables]
    model.optimizer.apply(tape.gradient(loss, weights), model.trainable_variables)


def test_the_players_have_disjoint_variables_and_optimizers_of_their_own():
    model = factor_vae()
    ours, theirs = model.trainable_variables, opponent(model)
    assert len(theirs) == 6
    assert not {id(variable) for variable in ours} & {id(variable) for variable in theirs}
    assert {id(variable) for variable in theirs} <= {id(variable) for variable in model.weights}
    assert model.critics[0].optimizer is not model.optimizer
    assert (model.critics[0].optimizer.beta_1, model.critics[0].optimizer.beta_2) == (0.5, 0.9)


def test_a_step_of_the_model_leaves_a_critic_that_does_not_learn_as_it_is():
    model = factor_vae()
    ours, theirs = values(model.trainable_variables), values(opponent(model))
    step(model, BATCHES[0], training=False)
    assert same(values(opponent(model)), theirs)
    assert not same(values(model.trainable_variables), ours)


def test_the_critics_learning_leaves_the_model_as_it_is():
    model = factor_vae()
    ours, theirs = values(model.trainable_variables), values(opponent(model))
    model(BATCHES[0], training=True)  # a forward pass in which the critic takes its step
    assert same(values(model.trainable_variables), ours)
    assert not any(np.array_equal(a, b) for a, b in zip(values(opponent(model)), theirs, strict=True))
    assert int(model.critics[0].optimizer.iterations) == 1


def test_gradients_across_are_exactly_zero():
    model = factor_vae()
    ours = [variable.value for variable in model.trainable_variables]
    learn, losses = model.critics[0].learn, []

    def watched(loss, felt_by):
        losses.append(loss())
        return learn(loss, felt_by)

    model.critics[0].learn = watched
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(ours)
        model(BATCHES[0], training=True)
        charge = tf.add_n(model.losses)
    # catches: codes with their history in the critic's loss
    assert all(gradient is None for gradient in tape.gradient(losses[0], ours))
    # catches: a critic that the model's optimizer could pull along
    assert all(variable.trainable is False for variable in opponent(model))
    assert all(np.any(gradient) for gradient in tape.gradient(charge, ours))


def test_the_critics_steps_do_not_disturb_a_model_that_does_not_heed_it():
    model = factor_vae(gamma=0.0)
    vae = recipes.build("vae", vectors().spec, latent=4, seed=1)
    vae.compile(keras.optimizers.Adam(1e-2))
    for batch in BATCHES[:2]:
        step(model, batch)
        step(vae, batch)
    for ours, theirs in zip(values(model.trainable_variables), values(vae.trainable_variables), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)


def test_compiled_by_xla_or_not_a_critic_takes_the_same_step():
    plain, compiled = factor_vae().critics[0], factor_vae().critics[0]
    before = values(plain.network.weights)
    # XLA permutes differently by the same seed, so the permuted codes are given.
    codes = tf.constant(vectors().batch["x"][:, :4])
    permuted = permute_dimensions(codes, tf.constant([1, 2]))
    for critic, jit in ((plain, False), (compiled, True)):

        @tf.function(jit_compile=jit)
        def learn(critic=critic):
            critic.learn(lambda: critic_loss(critic(codes)[:, 0], critic(permuted)[:, 0]))

        learn()
        learn()
    assert not same(values(plain.network.weights), before)
    for ours, theirs in zip(values(plain.network.weights), values(compiled.network.weights), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_resumed_critic_goes_on_exactly(tmp_path):
    straight, halted, resumed = factor_vae(), factor_vae(), factor_vae()
    for batch in BATCHES:
        step(straight, batch)
    for batch in BATCHES[:2]:
        step(halted, batch)
    Checkpoints(str(tmp_path), model=halted, best=[], state=State()).save()
    assert Checkpoints(str(tmp_path), model=resumed, best=[], state=State()).restore()
    for batch in BATCHES[2:]:
        step(resumed, batch)
    # catches: the critic's weights, its optimizer's moments or the model's step left out of a checkpoint
    assert same(resumed.get_weights(), straight.get_weights())
    assert same(values(resumed.critics[0].optimizer.variables), values(straight.critics[0].optimizer.variables))
