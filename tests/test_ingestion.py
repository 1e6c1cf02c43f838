"""The choice between all kinds of sources, and the built-in digits."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sources import records, refusal

from models.features.spec import FeatureSpec
from pipeline.config import Data
from pipeline.ingestion import open_source

RNG = np.random.default_rng(0)


# --- the kinds ---------------------------------------------------------------------------------------


def test_opening_a_source_imports_nothing_heavy():
    heavy = {"tensorflow", "apache_beam", "tfx", "sklearn", "keras", "scipy"}
    code = (
        "import sys; from pipeline.config import Data; from pipeline.ingestion import open_source;"
        "open_source(Data(source='digits')).describe(); open_source(Data(source='sprites')).describe();"
        f"print(sorted({heavy} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("source", "data", "message"),
    [
        ("digit", {}, "data.source: no such file or folder: digit. Did you mean digits?"),
        (
            "/nowhere/x.csv",
            {},
            "data.source: no such file or folder: /nowhere/x.csv. Check the path, or use one of digits, sprites, "
            "mnist, fashion_mnist, cifar10.",
        ),
        (
            "/nowhere/x.csv",
            {"kind": "npz"},
            "data.source: no such file or folder: /nowhere/x.csv. Check the path, or use one of digits, sprites, "
            "mnist, fashion_mnist, cifar10.",
        ),
        ("minst", {"kind": "keras"}, "data.source: minst is not of kind keras. Did you mean mnist?"),
    ],
)
def test_a_source_that_is_not_there_is_refused(source, data, message):
    assert refusal(source, **data) == message


def test_a_file_of_no_known_kind_is_refused(tmp_path):
    (tmp_path / "x.dat").write_bytes(b"?")
    assert refusal(tmp_path / "x.dat") == (
        f"data.source: cannot tell what {tmp_path / 'x.dat'} is. Use one of .npz, .csv, .tsv, .csv.gz, .tsv.gz, "
        ".parquet, .pq, or set data.kind."
    )


def test_a_single_image_is_refused(tmp_path):
    (tmp_path / "x.PNG").write_bytes(b"?")
    assert refusal(tmp_path / "x.PNG") == (
        f"data.source: {tmp_path / 'x.PNG'} is one image. Give the folder it lies in."
    )


def test_a_folder_holds_tables_only_if_it_holds_no_images(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n3,4\n")
    assert open_source(Data(source=str(tmp_path))).kind == "table"
    (tmp_path / "a.png").write_bytes(b"?")
    assert open_source(Data(source=str(tmp_path))).kind == "images"
    assert open_source(Data(source=str(tmp_path), kind="table")).kind == "table"


# --- digits ------------------------------------------------------------------------------------------


def test_digits_are_the_scans_of_scikit_learn_spread_over_all_levels():
    source = open_source(Data(source="digits"))
    description = source.describe()
    assert description.spec == FeatureSpec("image", (8, 8, 1), "uint8", label="label")
    found = records(source)
    assert description.count == len(found) == 1797
    scans = load_digits()
    images = np.stack([record["image"] for record in found])
    assert images.dtype == np.uint8
    assert np.abs(images[..., 0] - scans.images * 255 / 16).max() <= 0.5
    assert (images.min(), images.max()) == (0, 255)
    assert [record["label"] for record in found] == [str(digit) for digit in scans.target]
    assert [record["id"] for record in found] == [str(i) for i in range(1797)]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"label": "digit"}, "data.label: digits has only the label 'label'. Remove data.label."),
        ({"sensitive": "age"}, "data.sensitive: digits has only the label 'label'. Remove data.sensitive."),
        ({"factors": ("x",)}, "data.factors: digits has only the label 'label'. Remove data.factors."),
        ({"id": "key"}, "data.id: digits has only the label 'label'. Remove data.id."),
    ],
)
def test_digits_have_no_other_roles(data, message):
    assert refusal("digits", **data) == message
