"""The mathematics: factors, priors, terms, recipes, training and export.

Importing this package is cheap and comes first in every process: it fixes which Keras the stack gets.
Transform and TensorFlow Probability want Keras 2 behind `tf.keras`, while everything here uses Keras 3
as `import keras`; both work in one process only if this variable is set before TensorFlow is imported.

It also asks for oneDNN's kernels on every CPU: TensorFlow by itself takes them only where AVX-512 or AMX is,
and without them a training step of convolutions takes half as long again (see docs/benchmarks.md).
"""

import os
import sys

if "tensorflow" in sys.modules and os.environ.get("TF_USE_LEGACY_KERAS") != "1":
    raise ImportError(
        "`models` must be imported before tensorflow, or TF_USE_LEGACY_KERAS=1 must be set in the "
        "environment. Import `models` first."
    )
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
