"""A folder of SavedModels in, TF Serving's protocol out. Imports nothing of the other packages."""

import os

# oneDNN's kernels on every CPU: TensorFlow by itself takes them only where AVX-512 or AMX is, and they halve the
# time of convolutions elsewhere, too.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
