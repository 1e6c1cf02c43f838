"""The shape of the project: who imports whom, how long files are, what the distribution holds."""

import ast
import importlib.metadata
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("pipeline", "components", "models", "serving")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
NAMES = [str(path.relative_to(ROOT)) for path in SOURCES]

# Which of our own packages each may import, and which libraries each must not.
MAY_IMPORT = {
    "pipeline": {"pipeline", "components", "models", "serving"},
    "components": {"components", "models", "serving.client", "serving.status"},
    "models": {"models"},
    "serving": {"serving"},
}
MUST_NOT_IMPORT = {
    "models": {"tfx", "apache_beam"},
    "serving": {"tfx", "apache_beam", "keras", "tensorflow_probability"},
}
TRANSFORM_MODULES = {"models/features/preprocessing.py", "models/features/dataset.py", "models/training.py"}


def imports(path: Path) -> set[str]:
    """Dotted names of everything a module imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def within(name: str, allowed: str) -> bool:
    return name == allowed or name.startswith(allowed + ".")


@pytest.mark.parametrize("path", SOURCES, ids=NAMES)
def test_imports_follow_the_arrows(path):
    package = path.relative_to(ROOT).parts[0]
    own = {name for name in imports(path) if name.split(".")[0] in PACKAGES and name != "serving"}
    stray = {n for n in own if not any(within(n, allowed) for allowed in MAY_IMPORT[package])}
    assert not stray
    foreign = {n.split(".")[0] for n in imports(path)} & MUST_NOT_IMPORT.get(package, set())
    assert not foreign


@pytest.mark.parametrize("path", SOURCES, ids=NAMES)
def test_keras_two_stays_out(path):
    text = path.read_text()
    assert "tf.keras" not in text.replace("`tf.keras`", "")
    assert "tfp.layers" not in text
    assert not {n for n in imports(path) if within(n, "tf_keras")}


@pytest.mark.parametrize("path", SOURCES, ids=NAMES)
def test_modules_are_short(path):
    assert len(path.read_text().splitlines()) <= 300


@pytest.mark.parametrize("path", SOURCES, ids=NAMES)
def test_component_modules_keep_their_annotations(path):
    text = path.read_text()
    if "dsl.components.component" in text:
        assert "from __future__ import annotations" not in text


def test_no_other_distribution_owns_our_package_names():
    owners = importlib.metadata.packages_distributions()
    for package in PACKAGES:
        assert set(owners.get(package, [])) <= {"metaprior"}


def test_the_environment_is_byte_compiled():
    tensorflow = importlib.metadata.distribution("tensorflow").locate_file("tensorflow/__init__.py")
    assert Path(importlib.util.cache_from_source(str(tensorflow))).exists()


def test_every_stock_component_is_importable():
    from tfx import v1 as tfx

    for name in ("StatisticsGen", "SchemaGen", "ExampleValidator", "Transform", "Trainer", "ImportSchemaGen"):
        assert getattr(tfx.components, name) is not None


def test_light_modules_do_not_import_the_stack():
    light = [
        "models.errors",
        "models.artifact",
        "models.atomic",
        "models.features.spec",
        "pipeline.config",
        "pipeline.cli",
        "serving.client",
    ]
    heavy = {"tensorflow", "tfx", "apache_beam", "keras"}
    code = f"import sys, {', '.join(light)}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_models_refuses_a_process_where_tensorflow_came_first():
    code = "import sys, types; sys.modules['tensorflow'] = types.ModuleType('tensorflow'); import models"
    env = {"PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, cwd=ROOT)
    assert done.returncode == 1
    assert "`models` must be imported before tensorflow" in done.stderr
