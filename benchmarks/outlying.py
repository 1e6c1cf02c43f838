"""How well an exported encoder tells images of another kind from held-out digits.

    python -m benchmarks.outlying [--output runs]

Runs `configs/digits.yaml`, or takes that run from its cache, and asks the pushed encoder's signature `outlying` for
the digits of the test split, which neither the weights nor the percentiles have seen, and for images of six other
kinds. Printed are areas under the ROC curve: of the squared Mahalanobis distance, which sees the posterior mean alone
and orders examples as a chi-squared probability of it does, and of `outlying`; and how uniform `outlying` is over the
test split.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

os.environ["TF_USE_LEGACY_KERAS"] = "1"  # as in `models`; here TensorFlow comes first
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
from scipy import stats
from sklearn.metrics import roc_auc_score

from models.artifact import read_metadata
from models.features.spec import IMAGE
from serving.servable import Servable

CONFIG = Path(__file__).parent.parent / "configs" / "digits.yaml"
SIDE = 8


def newest(folder: Path) -> Path:
    """Returns the folder of the highest number."""
    return max((path for path in folder.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))


def held_out(run: Path) -> np.ndarray:
    """Returns the images of a run's test split, uint8 [count, 8, 8, 1]."""
    files = sorted(str(path) for path in (newest(run / "Ingest" / "examples") / "Split-test").iterdir())
    records = tf.data.TFRecordDataset(files, compression_type="GZIP").as_numpy_iterator()
    features = [tf.train.Example.FromString(record).features.feature for record in records]
    pixels = [np.frombuffer(feature[IMAGE].bytes_list.value[0], np.uint8) for feature in features]
    return np.stack(pixels).reshape(-1, SIDE, SIDE, 1)


def others(digits: np.ndarray) -> dict[str, np.ndarray]:
    """Returns as many images of each other kind, by name."""
    generator = np.random.default_rng(0)
    flat = digits.reshape(len(digits), -1)
    return {
        "uniform noise": generator.integers(0, 256, digits.shape).astype(np.uint8),
        "black": np.zeros_like(digits),
        "inverted": 255 - digits,
        "permuted pixels": flat[:, generator.permutation(flat.shape[1])].reshape(digits.shape),
        "half as bright": digits // 2,
        "upside down": digits[:, ::-1],
    }


def middle_and_share(values: np.ndarray) -> str:
    """Returns the median and the share above 0.99, for a row."""
    return f"{np.median(values):9.3f} {np.mean(values > 0.99):7.3f}"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="Images of another kind against held-out digits.")
    parser.add_argument("--output", default="runs")
    output = parser.parse_args().output
    command = [Path(sys.executable).with_name("metaprior"), "run", "--config", CONFIG, "--set", f"output={output}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    run = Path(output, "digits")
    encoder = Servable(newest(run / "serving" / "encoder"))

    def ask(pixels: np.ndarray) -> dict[str, np.ndarray]:
        return encoder.run(encoder.signatures["outlying"], {IMAGE: pixels})

    digits = held_out(run)
    usual = ask(digits)
    print(f"{'':16} {'AUROC':>14} {'AUROC':>9} {'median':>9} {'share':>7}")
    print(f"{'':16} {'mahalanobis2':>14} {'outlying':>9} {'outlying':>9} {'> 0.99':>7}")
    print(f"{'held-out digits':16} {'':14} {'':9} {middle_and_share(usual['outlying'])}")
    for name, pixels in others(digits).items():
        found, truth = ask(pixels), np.repeat([0, 1], [len(digits), len(digits)])
        areas = [roc_auc_score(truth, np.r_[usual[key], found[key]]) for key in ("mahalanobis2", "outlying")]
        print(f"{name:16} {areas[0]:14.3f} {areas[1]:9.3f} {middle_and_share(found['outlying'])}")
    known = read_metadata(encoder.path)["outlying"]["rates"]["examples"]
    former = stats.chi2.cdf(usual["mahalanobis2"], read_metadata(encoder.path)["latent"])
    for name, values in (("outlying", usual["outlying"]), ("chi-squared", former)):
        distance = stats.kstest(values, "uniform").statistic
        p_value = stats.kstwo.sf(distance, len(digits) * known // (len(digits) + known))  # both are samples
        print(f"{name} of {len(digits)} held-out digits: {distance:.3f} from uniform, p = {p_value:.2g}")


if __name__ == "__main__":
    main()
