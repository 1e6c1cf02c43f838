"""What runs, and in which order."""

import models  # noqa: F401  (fixes the Keras of the process before TensorFlow comes in)
