"""Judges a policy that was kept: the quantized one, and the float one beside it on the same episodes."""

from collections.abc import Mapping
import dataclasses
import os
import pathlib
from typing import Any

import numpy as np

from tfquarl.core import environment_spec
from tfquarl.core import errors
from tfquarl.core import interfaces
from tfquarl.core import records
from tfquarl.environments import graphics
from tfquarl.environments import registry
from tfquarl.evaluator import evaluation
from tfquarl.evaluator import judge as judge_lib
from tfquarl.evaluator import video
from tfquarl.metrics import return_text
from tfquarl.metrics import statistics
from tfquarl.program import archive
from tfquarl.program import stations
from tfquarl.program import summary

FRESH_SEED = 900_000
"""Episodes from this seed on are none of those that chose a run's best policy."""

_SERIES = 0


@dataclasses.dataclass(frozen=True)
class KeptPolicy:
    """A policy from the disk.

    Attributes:
      model_file: of the policy.
      artifact: it; quantized, unless the user asked for the float one.
      reference: the float policy of the same snapshot; None where it isn't beside it, or is the policy itself.
      spec: of the environment that it acts in.
    """

    model_file: pathlib.Path
    artifact: records.PolicyArtifact
    reference: records.PolicyArtifact | None
    spec: environment_spec.EnvironmentSpec

    def make_environment(self, seed: int, can_render: bool = False) -> interfaces.SeedableEnvironment:
        """Its environment; raises as `registry.make`."""
        return registry.make(self.spec.name, seed, self.spec.action_repeat, can_render)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What a policy earns.

    Attributes:
      policy: it.
      seed: of the episodes.
      estimate: of the policy.
      reference: of the float policy, on the same episodes; None where there is none.
    """

    policy: KeptPolicy
    seed: int
    estimate: evaluation.ReturnEstimate
    reference: evaluation.ReturnEstimate | None

    @property
    def difference(self) -> statistics.MeanInterval | None:
        """Return of the policy less that of the float policy, episode by episode; None without a float policy."""
        if self.reference is None:
            return None
        return statistics.mean_and_interval(
            np.subtract(self.estimate.returns, self.reference.returns).tolist()  # the same episodes: pairs
        )

    def to_json(self) -> dict[str, Any]:
        """The verdict as plain JSON values; 'int8' and 'float32' as in a run's summary.json, with each episode's return."""
        artifact, difference = self.policy.artifact, self.difference
        return {
            "environment": self.policy.spec.to_json(),
            "policy": str(self.policy.model_file),
            "policy_version": artifact.version,
            "train_step": artifact.train_step,
            "recipe": artifact.recipe,
            "sha256": artifact.digest,
            "seed": self.seed,
            **{key: _role_json(played, estimate) for key, played, estimate in self._roles()},
            "difference": None if difference is None else difference.to_json(),
        }

    def describe(self) -> str:
        """The verdict as an aligned table and a line about the difference."""
        artifact, difference = self.policy.artifact, self.difference
        rows = [(played.recipe, _role_json(played, estimate)) for _, played, estimate in self._roles()]
        lines = [
            f"{self.policy.spec.name}: policy {artifact.version} after {artifact.train_step:,} train steps, {self.policy.model_file}",
            summary.format_returns(rows),
        ]
        if difference is not None:
            returns = [estimate.mean_return for _, _, estimate in self._roles()]
            mean = return_text.of(difference.mean, difference.low, difference.high, *returns, signed=True)
            interval = return_text.interval(difference.low, difference.high, difference.mean, *returns)
            lines.append(f"{artifact.recipe} - float32 on the same episodes: {mean} ({interval})")
        return "\n".join(lines)

    def _roles(self) -> list[tuple[str, records.PolicyArtifact, evaluation.ReturnEstimate]]:
        if self.policy.reference is not None and self.reference is not None:
            return [("int8", self.policy.artifact, self.estimate), ("float32", self.policy.reference, self.reference)]
        return [
            ("float32" if self.policy.artifact.recipe == "float32" else "int8", self.policy.artifact, self.estimate)
        ]


def open_policy(
    path: str | os.PathLike[str], version: str = "best", key: bytes | None = None, can_render: bool = False
) -> KeptPolicy:
    """The policy that a user means, verified, with the float one beside it where there is one.

    Args:
      path: a run's directory, the directory of one version, or a .tflite file with its manifest beside it.
      version: 'best', 'latest' or a number, where `path` is a run's directory.
      key: that it must be signed with; None takes any that is whole.
      can_render: whether it will be filmed: its suite is imported here, and decides then whether it can draw.

    Raises:
      ConfigError: there is no such policy, or its environment is another one here.
      ArtifactError: it is damaged.
    """
    pair = archive.load_pair(path, version, key)
    reference = None if pair.reference is pair.artifact else pair.reference
    try:
        spec = environment_spec.EnvironmentSpec.from_json(pair.artifact.manifest["environment"])
    except (KeyError, TypeError, ValueError) as error:
        raise errors.ArtifactError(
            f"the manifest of {pair.model_file} tells no environment ({error}); was it edited?"
        ) from error
    graphics.prepare(can_render)
    _check_environment(spec)
    return KeptPolicy(pair.model_file, pair.artifact, reference, spec)


def judge(policy: KeptPolicy, num_episodes: int, seed: int) -> Verdict:
    """Plays `num_episodes` episodes, decided by `seed`, with the policy and then with the float one.

    Raises:
      ArtifactError: the model can't be run.
      TaskError: the environment can't be made.
    """
    player = judge_lib.Judge(policy.make_environment, stations.make_policy, seed=seed)
    try:
        estimates = [
            None if artifact is None else player.estimate(artifact, num_episodes, _SERIES)
            for artifact in (policy.artifact, policy.reference)
        ]
    finally:
        player.close()
    estimate, reference = estimates
    if estimate is None:
        raise ValueError("episodes that nobody stops always end")
    return Verdict(policy, seed, estimate, reference)


def film(policy: KeptPolicy, path: pathlib.Path, seed: int) -> video.FilmedEpisode:
    """Writes one episode of the policy, which was opened with `can_render`, as `path`, .mp4 or .gif.

    Raises:
      ConfigError: another suffix.
      TaskError: the environment can't draw itself, or the film can't be written.
    """
    environment = policy.make_environment(seed, can_render=True)
    try:
        return video.record(environment, stations.make_policy(policy.artifact, 1), path, seed)
    finally:
        environment.close()


def _check_environment(spec: environment_spec.EnvironmentSpec) -> None:
    here = registry.spec(spec.name, spec.action_repeat)
    for what in ("observation_fields", "num_actions", "action_low", "action_high"):
        if getattr(here, what) != getattr(spec, what):
            raise errors.ConfigError(
                f"{spec.name} has {what} {getattr(here, what)} here, the policy was trained with {getattr(spec, what)}; is another"
                " version of the environment installed?"
            )


def _role_json(artifact: records.PolicyArtifact, estimate: evaluation.ReturnEstimate) -> Mapping[str, Any]:
    values = estimate.to_json()
    return {**summary.returns_json(values, len(artifact.model)), "returns": values["returns"]}
