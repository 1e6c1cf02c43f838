"""Yesterday's consumers under today's model, as a person would see it: whole runs on the digits."""

import json
import re

import numpy as np
import pyarrow.parquet as pq
import pytest
import samples
from conftest import DIGITS, Run, metaprior
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors

from serving.servable import Servable

pytestmark = [
    *samples.STACK,
    pytest.mark.slow,  # several whole runs
    pytest.mark.filterwarnings("ignore:scipy.optimize. The `disp` and `iprint`:DeprecationWarning"),  # scikit-learn 1.5
]
MEASURED = DIGITS.replace("[probes, density]", "[probes, alignment]")
BETTER = ("--set", "model.parameters.beta=0.4", "--set", "model.latent=10")
BOUNDS = "evaluation.bless={alignment/neighbors: {min: 0.5}, alignment/probe: {drop: 0.1}}"


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Run:
    """A first run, under bounds that nothing can break yet, and the vectors that someone keeps of it."""
    folder = tmp_path_factory.mktemp("compatible")
    (folder / "digits.yaml").write_text(MEASURED)
    run = metaprior(folder, "run", "--config", "digits.yaml", "--set", BOUNDS)
    assert run.code == 0, run.output
    assert "lign" not in run.output.split("What was learned")[1]
    assert metaprior(folder, "embed", "digits", "old.parquet", "--set", "data.label=label").code == 0
    return run


@pytest.fixture(scope="module")
def second(kept) -> Run:
    """A run of another model, wider than the first one."""
    run = metaprior(kept.folder, "run", "--config", "digits.yaml", *BETTER, "--set", BOUNDS)
    assert run.code == 0, run.output
    return run


def record(run: Run, version: int) -> dict:
    path = run.root / "serving" / "encoder" / str(version) / "assets.extra" / "metaprior.json"
    return json.loads(path.read_text())


def test_vectors_and_a_classifier_of_yesterday_work_with_the_model_that_is_served_today(second):
    assert record(second, 2)["aligned_to"]["space"] == record(second, 1)["space"]
    table = pq.read_table(second.folder / "old.parquet").to_pydict()
    old = np.array(table["embedding"])[np.argsort([int(id) for id in table["id"]])]
    labels = load_digits().target
    index, classifier = NearestNeighbors(n_neighbors=10).fit(old), LogisticRegression(max_iter=2_000).fit(old, labels)

    served = Servable(second.root / "serving" / "encoder" / "2")
    pixels = np.round(load_digits().images * (255 / 16)).astype(np.uint8)[..., None]
    today = served.run(served.signatures["embed_aligned"], {"image": pixels})["embedding"]
    assert today.shape == old.shape
    found = index.kneighbors(today, return_distance=False)
    assert (found == np.arange(len(old))[:, None]).any(axis=1).mean() > 0.5  # 0.006 by chance
    assert classifier.score(today, labels) > classifier.score(old, labels) - 0.1
    as_they_are = served.run(served.signatures["embed"], {"image": pixels})["embedding"][:, : old.shape[1]]
    assert classifier.score(as_they_are, labels) < 0.4


def test_the_run_says_what_is_kept(second):
    space = re.escape(record(second, 1)["space"])
    said = rf"Aligned to space {space} \(version 1\): \d+ % of neighbors kept; linear probe 0\.\d+ -> 0\.\d+\."
    assert re.search(said, second.output), second.output
    assert "Pushed: version 2" in second.output
    assert "embed_aligned" in (second.root / "serving/encoder/2/assets.extra/model_card.md").read_text()


def test_the_same_run_again_trains_and_aligns_nothing(second):
    again = metaprior(second.folder, "run", "--config", "digits.yaml", *BETTER, "--set", BOUNDS)
    assert again.code == 0, again.output
    for name in ("Trainer", "Embedder", "Aligner", "RepresentationEvaluator", "ServingCheck", "Pusher"):
        assert f"{name} cached" in again.output


def test_the_first_model_again_is_aligned_to_the_second_without_training(second):
    back = metaprior(second.folder, "run", "--config", "digits.yaml", "--set", "evaluation.bless.rate={max: 0.1}")
    assert back.code == 0, back.output
    assert "Trainer cached" in back.output
    assert "Aligner done" in back.output
    assert f"Aligned to space {record(second, 2)['space']} (version 2)" in back.output


def test_a_model_that_breaks_too_much_is_refused_and_backfill_is_named_and_works(second):
    strict = "evaluation.bless={alignment/neighbors: {min: 0.999}}"
    run = metaprior(second.folder, "run", "--config", "digits.yaml", *BETTER, "--set", strict)
    assert "Not pushed: only a blessed encoder is." in run.output
    command = "metaprior backfill OLD.parquet --data digits --out NEW.parquet"
    assert "Not compatible enough with it (1 bound not met). Whoever keeps vectors must embed again" in run.output
    assert command in run.output

    words = command.replace("OLD", "old").replace("NEW", "new").split()[1:]
    done = metaprior(second.folder, *words)
    assert done.code == 0, done.output
    table = pq.read_table(second.folder / "new.parquet")
    assert json.loads(table.schema.metadata[b"metaprior"])["space"] == record(second, 2)["space"]
    assert sorted(map(int, table.column("id").to_pylist())) == list(range(1797))
