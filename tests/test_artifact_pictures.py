"""The pictures that a model artifact of images carries, for the report."""

import artifacts
import keras
import numpy as np
import pytest
import samples

from components.report.pictures import KNOWN, read
from models import pictures

exported = artifacts.exported
pytestmark = samples.STACK


def test_a_model_of_images_carries_its_pictures(exported):
    folder = exported["digits"].folder / "pictures"
    assert set(read(folder)) == set(KNOWN)
    shapes = {
        path.stem: np.asarray(keras.utils.load_img(path, color_mode="grayscale")).shape for path in folder.iterdir()
    }
    # Images of 8 x 8 with a pixel between: 8 a row; two rows, eight rows, and a row of nine per latent.
    assert shapes == {"reconstructions": (17, 71), "samples": (71, 71), "traversals": (26, 80)}


def test_the_upper_row_of_the_reconstructions_is_the_evaluation_split(exported):
    digits = exported["digits"]
    drawn = np.asarray(keras.utils.load_img(digits.folder / "pictures/reconstructions.png", color_mode="grayscale"))
    batch = next(iter(digits.sample.examples("eval").evaluation(batch=8)))
    for place, image in enumerate(batch["x"].numpy()):
        np.testing.assert_allclose(drawn[:8, 9 * place : 9 * place + 8], image[..., 0] * 255, atol=1)
    assert pictures.drawable(digits.model, digits.task.spec)


@pytest.mark.parametrize("kind", ["blobs", "people"])
def test_other_data_have_none(exported, kind):
    assert not (exported[kind].folder / "pictures").exists()
    assert not pictures.drawable(exported[kind].model, exported[kind].task.spec)
