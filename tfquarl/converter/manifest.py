"""The manifest of a converted policy: what it is for, and how it was made."""

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import functools
import hashlib
import importlib.metadata
import platform
from typing import Any

import numpy as np

from tfquarl.converter import parity_gate
from tfquarl.converter import policy_converter
from tfquarl.core import environment_spec
from tfquarl.networks import architecture as architecture_lib
from tfquarl.quantization import bit_widths
from tfquarl.quantization import low_bit

_PACKAGES = ("tensorflow", "ai-edge-litert", "numpy")


def make_manifest(
    spec: environment_spec.EnvironmentSpec,
    converter: policy_converter.PolicyConverter,
    preparations: Sequence[str],
    model: bytes,
    report: parity_gate.ParityReport | None,
    calibration: np.ndarray | None,
) -> dict[str, Any]:
    """The manifest of an artifact, as `PolicyArtifact` documents it.

    Args:
      spec: of the environment.
      converter: that made the model.
      preparations: what was done to the variables before, by the names of the config's switches.
      model: the flatbuffer.
      report: the verdict on it; None where it wasn't compared.
      calibration: observations [N, D] that it was calibrated on; None where it wasn't.
    """
    architecture, widths = converter.architecture, converter.recipe.widths
    low_bit_facts = {} if widths is None else {"low_bit": _low_bit_json(architecture, widths)}
    return {
        "environment": spec.to_json(),
        "architecture": architecture.to_json(),
        "io": converter.recipe.io,
        "preparations": list(preparations),
        **low_bit_facts,
        "calibration": _calibration_json(calibration),
        "parity": None if report is None else report.to_json(),
        "versions": dict(_versions()),
    }


def _low_bit_json(architecture: architecture_lib.PolicyArchitecture, widths: bit_widths.BitWidths) -> Mapping[str, Any]:
    """True widths, and the size that the constants have where each weight takes no more bits than it needs."""
    size = low_bit.packed_size(architecture.variable_shapes(), widths.weights)
    return {**dataclasses.asdict(widths), **dataclasses.asdict(size)}


def _calibration_json(calibration: np.ndarray | None) -> Mapping[str, Any] | None:
    if calibration is None:
        return None
    data = np.ascontiguousarray(calibration, np.float32).tobytes()
    return {"num_observations": len(calibration), "sha256": hashlib.sha256(data).hexdigest()}


@functools.cache
def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in _PACKAGES}}
