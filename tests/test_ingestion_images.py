"""Image folders, and the one function that turns a file into pixels in ingestion and in the served model."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from sources import records

from models.errors import InputError
from models.features.images import decode_image, decode_images
from models.features.spec import FeatureSpec
from pipeline.config import Data, Images
from pipeline.ingestion import open_source

RNG = np.random.default_rng(0)
COLOUR = Image.fromarray(RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((80, 60), Image.Resampling.BICUBIC)
GREY = COLOUR.convert("L")


def opened(folder, *, expected=None, label=None, **images):
    return open_source(Data(source=str(folder), label=label, images=Images(**images)), expected=expected)


def refusal(folder, **data):
    with pytest.raises(InputError) as caught:
        records(opened(folder, **data))
    message = str(caught.value)
    assert "\n" not in message
    return message


def encoded(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@pytest.fixture
def folder(tmp_path):
    """Two classes, all formats, several depths, files that are no images."""
    root = tmp_path / "pictures"
    for name in ("cat/a.png", "cat/deep/b.JPG", "dog/c.gif", "dog/d.bmp", "e.jpeg"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        COLOUR.save(root / name)
    (root / "notes.txt").write_text("not an image")
    (root / ".hidden").mkdir()
    COLOUR.save(root / ".hidden" / "f.png")
    COLOUR.save(root / "cat" / ".g.png")
    return root


def test_files_are_read_in_order_with_the_subfolder_as_class(folder):
    source = opened(folder)
    assert source.describe().spec == FeatureSpec("image", (60, 80, 3), "uint8", label="class")
    assert source.describe().count == 5
    found = records(source)
    assert [(record["id"], record.get("class")) for record in found] == [
        ("cat/a.png", "cat"),
        ("cat/deep/b.JPG", "cat"),
        ("dog/c.gif", "dog"),
        ("dog/d.bmp", "dog"),
        ("e.jpeg", None),
    ]
    pixels = np.asarray(COLOUR)
    assert np.array_equal(found[0]["image"], pixels)
    assert np.array_equal(found[3]["image"], pixels)
    assert np.abs(found[1]["image"].astype(int) - pixels).mean() < 4  # JPEG and GIF lose a little
    assert np.abs(found[2]["image"].astype(int) - pixels).mean() < 12


def test_size_and_channels_come_from_the_configuration(folder):
    found = records(opened(folder, size=(20, 20), channels=1))
    assert {record["image"].shape for record in found} == {(20, 20, 1)}
    first = found[0]["image"][..., 0]
    assert (first[:2] == 0).all()  # 80 x 60 fits as 20 x 15: black bars above and below
    assert (first[-3:] == 0).all()
    assert first[3:-3].min() > 0
    (stretched, *_) = records(opened(folder, size=(20, 20), channels=1, letterbox=False))
    assert stretched["image"].min() > 0


def test_the_first_image_decides_over_grey_and_colour(folder):
    GREY.save(folder / "cat" / "0.png")
    assert opened(folder).describe().spec.shape == (60, 80, 1)


def test_a_folder_without_classes_has_no_label(tmp_path):
    COLOUR.save(tmp_path / "a.png")
    assert opened(tmp_path).describe().spec.label is None
    (tmp_path / "only").mkdir()
    COLOUR.save(tmp_path / "only" / "b.png")
    assert opened(tmp_path).describe().spec.label is None
    assert refusal(tmp_path, label="class") == (
        f"data.label: {tmp_path.name} has one class only ('only'). Add a subfolder a class, or remove data.label."
    )


def test_a_folder_that_changes_gets_another_fingerprint(folder):
    first = opened(folder).describe().fingerprint
    assert opened(folder).describe().fingerprint == first
    GREY.save(folder / "cat" / "z.png")
    assert opened(folder).describe().fingerprint != first


def test_a_trained_model_sets_size_and_key(folder):
    spec = FeatureSpec("image", (8, 8, 1), "uint8", id="key", label="kind")
    source = opened(folder, expected=spec)
    assert source.describe().spec == spec
    first = records(source)[0]
    assert first["image"].shape == (8, 8, 1)
    assert (first["key"], first["kind"]) == ("cat/a.png", "cat")


def test_a_model_of_another_kind_is_refused(folder):
    assert refusal(folder, expected=FeatureSpec("vector", (4,))) == (
        "pictures: holds uint8 images of 60x80x3, but the model was trained on vectors of 4 values. Give it data of "
        "the same kind and shape."
    )


def test_bad_folders_are_refused(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    assert refusal(tmp_path / "empty") == (
        f"data.source: {tmp_path / 'empty'} holds no files. PNG, JPEG, GIF and BMP files are read."
    )
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.txt").write_text("a")
    assert refusal(tmp_path / "text") == (
        f"data.source: {tmp_path / 'text'} holds no images, only 1 other files. PNG, JPEG, GIF and BMP files are read."
    )
    assert refusal(folder, label="breed") == ("data.label: pictures has only the label 'class'. Remove data.label.")


@pytest.mark.parametrize("name", ["cat/a.png", "dog/d.bmp", "e.jpeg", "dog/c.gif"])
@pytest.mark.parametrize("damage", [lambda content: content[: len(content) // 2], lambda content: b"no image at all"])
def test_a_corrupt_file_is_named(folder, name, damage):
    path = folder / name
    path.write_bytes(damage(path.read_bytes()))
    assert refusal(folder) == (f"{path}: cannot be decoded as an image. Replace it or take it out of the folder.")


def test_bmp_files_with_a_palette_are_refused(folder):
    COLOUR.quantize(16).save(folder / "cat" / "p.bmp")
    assert refusal(folder) == (
        f"{folder / 'cat' / 'p.bmp'}: BMP files with a palette are not supported. Save it as PNG."
    )


FILES = {
    "png": encoded(COLOUR, "PNG"),
    "png grey": encoded(GREY, "PNG"),
    "png palette": encoded(COLOUR.quantize(32), "PNG"),
    "png alpha": encoded(COLOUR.convert("RGBA"), "PNG"),
    "png grey alpha": encoded(COLOUR.convert("LA"), "PNG"),
    "jpeg": encoded(COLOUR, "JPEG", quality=95, subsampling=0),
    "jpeg grey": encoded(GREY, "JPEG"),
    "gif": encoded(GREY, "GIF"),
    "gif animated": encoded(COLOUR, "GIF", save_all=True, append_images=[COLOUR.rotate(180)]),
    "bmp": encoded(COLOUR, "BMP"),
    "bmp grey": encoded(GREY, "BMP"),
}


def with_pillow(content, shape, letterbox):
    """The same picture by another library: an independent reference."""
    image = Image.open(io.BytesIO(content)).convert("RGB")
    image = image.convert("L") if shape[2] == 1 else image
    height, width = shape[:2]
    scale = min(height / image.height, width / image.width)
    inner = (int(image.width * scale), int(image.height * scale)) if letterbox else (width, height)
    canvas = Image.new(image.mode, (width, height))
    corner = ((width - inner[0]) // 2, (height - inner[1]) // 2)
    canvas.paste(image.resize(inner, Image.Resampling.BILINEAR), corner)
    return np.asarray(canvas).reshape(shape)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(("height", "width"), [(60, 80), (28, 28), (31, 90)])
def test_decoding_agrees_with_pillow_to_a_grey_level(name, height, width):
    tolerance = 10 if name == "jpeg" else 2 if name == "jpeg grey" else 1  # TensorFlow decodes JPEG the fast way
    for channels in (1, 3):
        for letterbox in (True, False):
            spec = FeatureSpec("image", (height, width, channels), "uint8")
            pixels = decode_image(tf.constant(FILES[name]), spec, letterbox).numpy().astype(int)
            expected = with_pillow(FILES[name], spec.shape, letterbox).astype(int)
            assert np.abs(pixels - expected).max() <= tolerance


def test_a_batch_in_a_graph_gives_the_same_pixels_as_ingestion(folder):
    """The exported model decodes inside a graph, ingestion inside tf.data: not one level may differ."""
    source = opened(folder, size=(16, 16))
    spec = source.describe().spec
    contents = [(folder / name).read_bytes() for name in source.files]
    decode = tf.function(
        lambda files: decode_images(files, spec, True), input_signature=[tf.TensorSpec([None], tf.string)]
    )
    served = decode(tf.constant(contents)).numpy()
    assert np.array_equal(served, np.stack([record["image"] for record in records(source)]))
    assert decode(tf.constant([], tf.string)).shape == (0, 16, 16, 3)


def test_float_specs_get_pixels_from_zero_to_one():
    levels = decode_image(tf.constant(FILES["png"]), FeatureSpec("image", (60, 80, 3), "uint8"), True)
    scaled = decode_image(tf.constant(FILES["png"]), FeatureSpec("image", (60, 80, 3), "float32"), True)
    assert scaled.dtype == tf.float32
    assert np.array_equal(scaled.numpy(), levels.numpy().astype(np.float32) / 255)


def test_an_image_of_the_right_size_is_not_filtered():
    """Leaving the filter out is a matter of speed: at a scale of one it changes nothing."""
    image = tf.constant(np.asarray(COLOUR))
    assert np.array_equal(tf.image.resize_with_pad(image, 60, 80, antialias=True).numpy(), np.asarray(COLOUR))
    assert np.array_equal(tf.image.resize(image, (60, 80), antialias=True).numpy(), np.asarray(COLOUR))
