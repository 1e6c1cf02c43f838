"""What every test shares: the Keras of the process, quiet logs, a fixed seed."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import models  # noqa: F401, E402  (first: it fixes which Keras TensorFlow brings)
