"""The model card: true, short, without empty sections, and the same in both forms."""

import dataclasses
import json
import re

import reports
from cards import LINEAGE, TRAINING, record
from hypothesis import given, settings
from hypothesis import strategies as st
from reports import HOSTILE

from components.pusher.card import JSON_FILE, TEXT_FILE, card, files
from components.pusher.markdown import markdown, plain
from components.pusher.versions import push
from components.report.summary import summary_rows
from models import recipes
from models.features.spec import FeatureSpec

EVERYTHING = reports.everything()


def of(evaluation=EVERYTHING, training=TRAINING, **spec) -> dict:
    return card(record(**spec), evaluation, training, LINEAGE)


def test_the_card_has_what_is_known_and_nothing_else():
    found = of()
    assert found["data"] == {
        "name": "adult.csv",
        "kind": "table",
        "shape": [9],
        "counts": {"train": 1437, "eval": 180, "test": 180},
        "fingerprint": "0123456789ab",
        "label": "income",
        "sensitive": "sex",
    }
    recipe = recipes.find("beta_vae")
    assert (found["model"]["reference"], found["limits"]["recipe"]) == (recipe.reference, recipe.limits)
    assert found["lineage"]["space"] == EVERYTHING.space
    assert found["verdict"]["bounds"][1]["p_value"] == 0.012
    assert found["limits"]["not_measured"][0] == "slices by sex (fewer than 20 examples: Other)"
    assert found["query"]["inputs"] == {"age": "float32 [batch]", "job|kind": "text [batch]"}
    assert json.loads(json.dumps(found)) == found


def test_every_number_of_the_encoder_but_slices_is_in_the_card_with_its_baselines():
    found = {metric["name"]: metric for metric in of()["metrics"]}
    own = {m.name for m in EVERYTHING.metrics if m.representation == "encoder" and " where " not in m.name}
    assert set(found) == own
    assert found["probe/linear/all"]["beside"] == {"pca": 0.9 - 0.05, "random": 0.9 - 0.2, "raw": 0.8, "ceiling": 0.97}
    assert "beside" not in found["rate"]
    assert "interval" not in found["active_units"]


def test_the_text_says_what_the_report_says():
    text = markdown(of())
    for row in summary_rows(EVERYTHING):
        assert row.value in text
    for part in (
        "# adult.csv, encoded by `beta_vae`",
        "- not met: a rise, p = 0.012",
        "Refused.",
        "distortion is of the example",
        "Higgins et al. 2017",
        "metaprior query --model encoder rows.csv",
        "job\\|kind (text [batch])",
        "60 epochs, 1,320 steps, to the last epoch; 28 s",
        "fingerprint: 0123456789ab",
    ):
        assert part in text, part
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1
    assert len(text.splitlines()) < 90


def test_what_is_not_there_leaves_no_heading_and_no_line():
    data = dataclasses.replace(EVERYTHING.data, label=None, sensitive=None, tasks=(), factors=(), probed={})
    changes = {"metrics": EVERYTHING.metrics[:4], "data": data, "bounds": (), "blessed": True, "omitted": ()}
    bare = dataclasses.replace(EVERYTHING, recipe="vae", parameters={}, **changes)
    text = markdown(of(bare, spec=FeatureSpec(kind="vector", shape=(9,))))
    assert "Blessed: no bounds were set." in text
    assert not re.search(r"^#+ [^\n]*\n+(#|\Z)", text, flags=re.MULTILINE)
    assert "None" not in text
    assert "label:" not in text
    assert "`embed` takes vector (float32 [batch, 9])" in text


def test_a_model_of_a_label_says_so():
    label = dataclasses.replace(EVERYTHING, data=dataclasses.replace(EVERYTHING.data, explains="label"))
    text = markdown(of(label))
    assert "distortion is of the label" in text
    assert "| Distortion of the label |" in text


@given(st.text())
@settings(deadline=None)
def test_a_text_of_the_data_stays_one_line_that_is_no_markup(text):
    shown = plain(text)
    assert "\n" not in shown
    assert not re.search(r"(?<!\\)[|`*\[\]#]", shown.replace("\\\\", ""))
    assert "<" not in shown
    assert plain(f"a_b _c_ {HOSTILE}") == 'a_b \\_c\\_ &lt;script&gt;alert("1")&lt;/script&gt;'


def test_a_card_appears_with_its_version_or_not_at_all(tmp_path):
    model = tmp_path / "model"
    extra = model / "Format-Serving" / "assets.extra"
    extra.mkdir(parents=True)
    (extra / "metaprior.json").write_text(json.dumps(record()))
    (model / "training.json").write_text(json.dumps(TRAINING))
    beside = files(model, EVERYTHING, LINEAGE)
    version = tmp_path / "encoder" / str(push(model / "Format-Serving", tmp_path / "encoder", beside))
    assert json.loads((version / JSON_FILE).read_text()) == of()
    assert (version / TEXT_FILE).read_text() == markdown(of())
    assert sorted(path.name for path in (tmp_path / "encoder").iterdir()) == ["1"]
