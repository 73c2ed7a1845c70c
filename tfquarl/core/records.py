"""The two values that travel: `PolicySnapshot` (float weights) and `PolicyArtifact` (a TFLite model with its manifest)."""

from collections.abc import Mapping
import dataclasses
import hashlib
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class PolicySnapshot:
    """The float policy of one moment of training.

    Attributes:
      version: counts the snapshots of a run from 1; a newer one is larger.
      train_step: train steps that the learner had made.
      variables: float32 arrays by the names of `PolicyArchitecture.variable_shapes`.
      created_sec: when the learner read them, by `time.monotonic`, which the processes of one machine share and which nobody sets;
        None where it isn't known.
      ranges: least and largest value of each activation by the names of `networks.low_bit_policy.range_names`, of a policy that computes
        with quantized values in training; empty for one that computes in float.
    """

    version: int
    train_step: int
    variables: Mapping[str, np.ndarray]
    created_sec: float | None = None
    ranges: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class PolicyArtifact:
    """A policy as it is run: a TFLite flatbuffer and what is known of it.

    Attributes:
      version: version of the snapshot that it was made from.
      train_step: train steps of that snapshot.
      recipe: name of the quantization recipe, e.g. 'static_wi8_ai8'.
      model: the flatbuffer.
      manifest: plain JSON values: 'environment' (`EnvironmentSpec.to_json`), 'architecture' (`PolicyArchitecture.to_json`),
        'preparations' (of the variables, before they were rounded), 'low_bit' (of low-bit recipes: the true widths and packed size),
        'calibration' (number of observations and their sha256), 'parity' (the report) and 'versions' (of the packages).
      created_sec: that of the snapshot.
    """

    version: int
    train_step: int
    recipe: str
    model: bytes
    manifest: Mapping[str, Any]
    created_sec: float | None = None

    @property
    def digest(self) -> str:
        """sha256 of the flatbuffer, in hexadecimal."""
        return hashlib.sha256(self.model).hexdigest()
