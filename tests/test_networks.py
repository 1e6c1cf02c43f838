"""Networks and the rules that choose them."""

import pytest

from models.errors import InputError
from models.features import Column, FeatureSpec
from models.networks import convolutional, dense
from models.recipes.choices import likelihood_for, network_for

TABLE = FeatureSpec(kind="table", shape=(1,), columns=(Column("age", "numeric"),))
VECTOR = FeatureSpec(kind="vector", shape=(5,))


def image(height: int, width: int, channels: int = 1) -> FeatureSpec:
    return FeatureSpec(kind="image", shape=(height, width, channels), dtype="uint8")


def described(network) -> list[tuple]:
    """Layers with units or filters, kernel, strides and activation."""
    keys = ("units", "filters", "kernel_size", "strides")
    return [
        (*(getattr(layer, key) for key in keys if hasattr(layer, key)), layer.activation.__name__)
        for layer in network.layers
        if hasattr(layer, "activation")
    ]


def test_64x64_images_get_the_pair_of_the_disentanglement_literature():
    encoder, decoder = convolutional.encoder((64, 64, 1)), convolutional.decoder((64, 64, 1))
    encoder.build((None, 64, 64, 1))
    decoder.build((None, 10))
    assert described(encoder) == [
        (32, (4, 4), (2, 2), "relu"),
        (32, (4, 4), (2, 2), "relu"),
        (64, (2, 2), (2, 2), "relu"),
        (64, (2, 2), (2, 2), "relu"),
        (256, "relu"),
    ]
    assert described(decoder) == [
        (256, "relu"),
        (1024, "relu"),
        (64, (4, 4), (2, 2), "relu"),
        (32, (4, 4), (2, 2), "relu"),
        (32, (4, 4), (2, 2), "relu"),
        (1, (4, 4), (2, 2), "linear"),
    ]
    assert decoder.get_layer("grid").output.shape[1:] == (4, 4, 64)


@pytest.mark.parametrize("shape", [(16, 16, 1), (17, 40, 3), (28, 28, 1), (32, 32, 3), (96, 80, 1), (218, 178, 3)])
def test_the_convolutional_pair_returns_to_the_size_it_came_from(shape):
    encoder, decoder = convolutional.encoder(shape), convolutional.decoder(shape)
    encoder.build((None, *shape))
    decoder.build((None, 7))
    assert encoder.output_shape == (None, 256)
    assert decoder.output_shape == (None, *shape)
    shorter = min(encoder.get_layer("flat").input.shape[1:3])
    assert 2 < shorter <= 4


@pytest.mark.parametrize(("shape", "units"), [((8, 8, 1), 128), ((14,), 128), ((300,), 256), ((28, 28, 1), 512)])
def test_dense_networks_are_as_wide_as_their_input_within_limits(shape, units):
    assert dense.widths(shape) == (units, units)


def test_dense_pair_has_the_shapes_of_its_data():
    encoder, decoder = dense.encoder((6, 5, 3), hidden=(40, 30)), dense.decoder((6, 5, 3), hidden=())
    encoder.build((None, 6, 5, 3))
    decoder.build((None, 2))
    assert encoder.output_shape == (None, 30)
    assert decoder.output_shape == (None, 6, 5, 3)
    assert described(decoder) == [(90, "linear")]


@pytest.mark.parametrize(
    ("spec", "network", "likelihood"),
    [
        (image(8, 8), "mlp", "bernoulli"),
        (image(16, 15), "mlp", "bernoulli"),
        (image(28, 28), "conv", "bernoulli"),
        (image(64, 64, 3), "conv", "bernoulli"),
        (VECTOR, "mlp", "gaussian"),
        (TABLE, "mlp", "gaussian_learned"),
    ],
)
def test_auto_chooses_by_the_shape_of_the_data(spec, network, likelihood):
    assert network_for(spec, "auto") == network
    assert likelihood_for(spec, "auto") == likelihood


@pytest.mark.parametrize(
    ("choose", "message"),
    [
        (
            lambda: network_for(TABLE, "conv"),
            "model.network: conv needs images, and the data is a table. Use mlp or auto.",
        ),
        (
            lambda: network_for(image(8, 12), "conv"),
            "model.network: conv needs images of at least 16 x 16 pixels. Received: 8 x 12. Use mlp or auto, or "
            "enlarge the images with data.images.size.",
        ),
        (lambda: network_for(VECTOR, "cnn"), "model.network: must be auto, mlp or conv. Received: 'cnn'."),
        (
            lambda: likelihood_for(VECTOR, "bernoulli"),
            "model.likelihood: bernoulli needs values from 0 to 1, and the data is a vector, which is standardized. "
            "Use gaussian, gaussian_learned or auto.",
        ),
        (
            lambda: likelihood_for(VECTOR, "poisson"),
            "model.likelihood: must be auto, bernoulli, gaussian or gaussian_learned. Received: 'poisson'.",
        ),
    ],
)
def test_choices_that_do_not_suit_the_data_are_refused(choose, message):
    with pytest.raises(InputError) as error:
        choose()
    assert str(error.value) == message


def test_a_choice_that_suits_the_data_is_kept():
    assert network_for(image(64, 64), "mlp") == "mlp"
    assert network_for(image(16, 16), "conv") == "conv"
    assert likelihood_for(image(8, 8), "gaussian") == "gaussian"
    assert likelihood_for(TABLE, "gaussian_learned") == "gaussian_learned"
