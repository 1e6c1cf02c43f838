"""From an encoded image file to pixels: one definition, for ingestion and for the served model."""

import tensorflow as tf

from models.features.spec import FeatureSpec

GREY = (0.299, 0.587, 0.114)
"""Luma weights of ITU-R BT.601, those of JPEG and Pillow."""


def decode_image(contents: tf.Tensor, spec: FeatureSpec, letterbox: bool) -> tf.Tensor:
    """Decodes one PNG, JPEG, GIF (first frame) or BMP file and fits it to the spec's shape.

    In this order: decode; resize by the antialiased triangle filter (Pillow's BILINEAR), stretched or,
    letter-boxed, scaled to fit and centered on black; drop alpha; grey = 0.299 R + 0.587 G + 0.114 B, or
    grey repeated where colour is wanted; round. Rotation flags inside files are not followed.

    Args:
        contents: the file's bytes: a scalar string tensor.
        spec: an image spec.
        letterbox: keep the aspect ratio.

    Returns:
        [height, width, channels]: uint8, or float32 from 0 to 1 where the spec says so.

    Raises:
        tf.errors.InvalidArgumentError: on evaluation, if the bytes are not such a file.

    Note:
        Palette BMP files are not supported: TensorFlow takes their indices for grey levels.
    """
    height, width, channels = spec.shape
    image = tf.io.decode_image(contents, channels=0, expand_animations=False)
    image.set_shape([None, None, None])  # [rows, columns, 1 to 4]
    image = _to_channels(_fit(image, height=height, width=width, letterbox=letterbox), channels)
    levels = tf.clip_by_value(tf.round(image), 0, 255)
    scaled = levels / 255 if spec.dtype == "float32" else tf.cast(levels, tf.uint8)
    return tf.ensure_shape(scaled, spec.shape)


def decode_images(contents: tf.Tensor, spec: FeatureSpec, letterbox: bool) -> tf.Tensor:
    """Decodes a batch of image files as `decode_image` does.

    Args:
        contents: string [batch].
        spec: an image spec.
        letterbox: keep the aspect ratio.

    Returns:
        [batch, height, width, channels], uint8 or float32 as in the spec.
    """
    signature = tf.TensorSpec(spec.shape, tf.as_dtype(spec.dtype))
    return tf.map_fn(lambda file: decode_image(file, spec, letterbox), contents, fn_output_signature=signature)


def _fit(image: tf.Tensor, *, height: int, width: int, letterbox: bool) -> tf.Tensor:
    def resize() -> tf.Tensor:
        if letterbox:
            return tf.image.resize_with_pad(image, height, width, antialias=True)
        return tf.image.resize(image, (height, width), antialias=True)

    same = tf.reduce_all(tf.shape(image)[:2] == (height, width))
    return tf.cond(same, lambda: tf.cast(image, tf.float32), resize)  # the filter would change nothing, slowly


def _to_channels(image: tf.Tensor, channels: int) -> tf.Tensor:
    grey = tf.shape(image)[-1] < 3  # grey, or grey and alpha
    colors = tf.gather(image, tf.where(grey, [0, 0, 0], [0, 1, 2]), axis=-1)  # [height, width, 3]
    if channels == 3:
        return colors
    return tf.reduce_sum(colors * tf.constant(GREY), axis=-1, keepdims=True)  # [height, width, 1]
