"""Run directories that hold a small policy."""

import hashlib
import pathlib
from typing import Any

from tfquarl.converter import policy_converter
from tfquarl.core import records
from tfquarl.program import archive
from tfquarl.quantization import recipe as recipe_lib
from tfquarl.testing import tiny_policies


def write_run(policy: tiny_policies.TinyPolicy, run_dir: pathlib.Path, version: int = 3) -> None:
    """Writes the run directory of a policy that was trained by 'static_wi8_ai8'."""

    class Verdict:
        """What the archive keeps of an evaluation."""

        def to_json(self) -> dict[str, Any]:
            return {"quantized": {"mean_return": 1.0}, "confirmed": True}

    artifacts = []
    for recipe in ("static_wi8_ai8", "float32"):
        converter = policy_converter.PolicyConverter(policy.architecture, recipe_lib.from_name(recipe))
        model = converter.convert(records.PolicySnapshot(version, 1, policy.variables), policy.observations)
        manifest = {
            "environment": policy.spec.to_json(),
            "architecture": policy.architecture.to_json(),
            "io": "float32",
            "digest": hashlib.sha256(model).hexdigest(),
            "calibration": None,
            "parity": None,
            "versions": {},
        }
        artifacts.append(records.PolicyArtifact(version, 10 * version, recipe, model, manifest))
    archive.PolicyArchive(run_dir).save(artifacts[0], artifacts[1], Verdict())
