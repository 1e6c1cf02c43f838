"""The pipeline steps TFX lacks. Each `component.py` moves artifacts; its siblings do the mathematics."""

import models  # noqa: F401  (fixes the Keras of the process before TensorFlow comes in)
