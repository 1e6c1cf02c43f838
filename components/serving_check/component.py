"""The ServingCheck: blesses an exported encoder that a server of its own process serves faithfully."""

# TFX reads these annotations at run time; to a type checker they mean nothing.
# pyright: reportArgumentType=false, reportInvalidTypeArguments=false

from pathlib import Path

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts

from components.serving_check.check import check
from components.serving_check.golden import ADDED, read, requests
from models.artifact import GOLDEN, SERVING, read_metadata, read_spec
from models.saved_model import signatures

BLESSED, REFUSED = "INFRA_BLESSED", "INFRA_NOT_BLESSED"


@component
def ServingCheck(
    model: InputArtifact[standard_artifacts.Model],
    infra_blessing: OutputArtifact[standard_artifacts.InfraBlessing],
    server: Parameter[str],
    code: Parameter[str],
) -> None:
    """Serves the exported encoder and compares its answers with the trainer's, on every signature.

    Args:
        model: the trained model.
        infra_blessing: the verdict: a file INFRA_BLESSED or INFRA_NOT_BLESSED, custom property
            `blessed` (0 or 1), `reason` where it is 0, and `server`, what it was checked with.
        server: `embedded` or `tensorflow_model_server`.
        code: version of the code, part of the cache key.
    """
    del code
    saved_model = Path(model.uri, SERVING)
    spec = read_spec(read_metadata(saved_model))
    golden = read(Path(model.uri, GOLDEN))
    known = signatures(saved_model)
    asked = {name: inputs for name, inputs in requests(golden, spec).items() if name in known or name not in ADDED}
    fault = check(saved_model, golden=golden, requests=asked, server=server)
    infra_blessing.set_int_custom_property("blessed", int(fault is None))
    infra_blessing.set_string_custom_property("reason", fault or "")
    infra_blessing.set_string_custom_property("server", server)
    verdict = Path(infra_blessing.uri, REFUSED if fault else BLESSED)
    verdict.write_text(fault or "", encoding="utf-8")
