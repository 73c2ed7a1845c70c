"""Settings of the learner station, as a value that needs no TensorFlow."""

import dataclasses

from tfquarl.core import errors


@dataclasses.dataclass(frozen=True)
class LearnerConfig:
    """How the learner trains, and when it gives something away.

    Attributes:
      batch_size: transitions of one train step.
      max_train_steps: train steps after which the learner ends; None trains until it is told to stop.
      steps_per_call: train steps made by one call into TensorFlow; stop signals, snapshots and metrics wait for its end.
      snapshot_interval_steps: train steps between policy snapshots.
      min_snapshot_period_sec: seconds that a snapshot is at least apart from the one before, however fast training is.
      max_snapshot_period_sec: seconds after which a snapshot is due, however slow training is.
      checkpoint_period_sec: seconds between checkpoints.
      max_checkpoints: checkpoints that are kept.
      metrics_period_sec: seconds between reports of metrics.
      scale_observations: whether the policy's observation scaling follows the mean and spread of the training batches.
      scaling_train_steps: train steps after which the observation scaling stays as it is; None lets it follow for ever.
      importance_exponent: beta of the importance weights (arXiv 1511.05952, section 3.4); 0 weighs all alike. Only for batches that
        tell their probabilities.
      stop_at_bad_numbers: whether a NaN or an infinity in a loss or a variable ends the run. Otherwise the learner goes back to its
        newest checkpoint; the last good policy stays in use meanwhile.
      max_times_back: returns to one and the same checkpoint after which it ends the run anyway.
      jit_compile: whether XLA compiles the train step. It takes longer to start; whether steps get faster depends on the processor, so
        measure both.
      intra_op_threads: threads of one TensorFlow operation; 0 lets TensorFlow choose.
      inter_op_threads: TensorFlow operations that may run at once; 0 lets TensorFlow choose.
    """

    batch_size: int = 64
    max_train_steps: int | None = None
    steps_per_call: int = 32
    snapshot_interval_steps: int = 200
    min_snapshot_period_sec: float = 0.0
    max_snapshot_period_sec: float = 30.0
    checkpoint_period_sec: float = 60.0
    max_checkpoints: int = 3
    metrics_period_sec: float = 2.0
    scale_observations: bool = False
    scaling_train_steps: int | None = None
    importance_exponent: float = 0.6
    stop_at_bad_numbers: bool = False
    max_times_back: int = 3
    jit_compile: bool = False
    intra_op_threads: int = 1
    inter_op_threads: int = 0

    def __post_init__(self) -> None:
        for name in ("batch_size", "steps_per_call", "snapshot_interval_steps", "max_checkpoints", "max_times_back"):
            if getattr(self, name) < 1:
                raise errors.ConfigError(f"{name} is {getattr(self, name)}, needs 1 or more")
        for name in ("max_train_steps", "scaling_train_steps"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise errors.ConfigError(f"{name} is {value}, needs 0 or more, or None")
        for name in (
            "min_snapshot_period_sec",
            "max_snapshot_period_sec",
            "checkpoint_period_sec",
            "metrics_period_sec",
            "importance_exponent",
            "intra_op_threads",
            "inter_op_threads",
        ):
            if getattr(self, name) < 0:
                raise errors.ConfigError(f"{name} is {getattr(self, name)}, needs 0 or more")
