"""The one definition of a policy network, from which learner, converter, parity gate and exporter build the same function.

x = (observation - observation_scaling/offset) * observation_scaling/scale
x = activation(x @ dense_i/kernel + dense_i/bias)          for i in 0 .. len(hidden_sizes) - 1
y = x @ head/kernel + head/bias
q_values = y                                               where head is 'q_values'
q_values_a = sum_i atoms_i * softmax(y_a)_i                where it has num_atoms > 1, y_a being the num_atoms logits of action a
action = middle + half_range * tanh(y)                     where head is 'action'
"""

from collections.abc import Mapping
import dataclasses
from typing import Any

import numpy as np

from tfquarl.core import environment_spec

ACTIVATIONS = ("relu", "tanh")
HEADS = ("q_values", "action")
COMPUTE_DTYPES = ("float32", "bfloat16")
"""Of matrix products."""
NO_LAYER, FIRST_LAYER, ALL_LAYERS = "none", "first", "all"
LAYER_NORMS = (NO_LAYER, FIRST_LAYER, ALL_LAYERS)
"""Which hidden layers of a critic are normalized (arXiv 1607.06450)."""


@dataclasses.dataclass(frozen=True)
class PolicyArchitecture:
    """A multilayer perceptron with observation scaling in front and a q_values or a tanh action head.

    Attributes:
      observation_size: D, elements of the flat observation.
      hidden_sizes: units of each hidden layer.
      output_size: num_actions for 'q_values', A for 'action'.
      head: 'q_values' or 'action'; also the name of the model's output.
      activation: of the hidden layers, 'relu' or 'tanh'.
      action_low: lower bounds [A] for head 'action', else None.
      action_high: upper bounds [A] for head 'action', else None.
      num_atoms: of each action's value distribution (arXiv 1707.06887), of which 'q_values' are the means; 1: plain q_values.
      v_min: value of the first atom.
      v_max: value of the last atom; those between are evenly spaced.
    """

    observation_size: int
    hidden_sizes: tuple[int, ...]
    output_size: int
    head: str
    activation: str = "relu"
    action_low: tuple[float, ...] | None = None
    action_high: tuple[float, ...] | None = None
    num_atoms: int = 1
    v_min: float = 0.0
    v_max: float = 0.0

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation is '{self.activation}', needs one of {', '.join(ACTIVATIONS)}")
        if self.head not in HEADS:
            raise ValueError(f"head is '{self.head}', needs one of {', '.join(HEADS)}")
        if not self.hidden_sizes or min((self.observation_size, self.output_size, *self.hidden_sizes)) < 1:
            raise ValueError(
                f"sizes must be positive, got {self.observation_size}, {self.hidden_sizes}, {self.output_size}"
            )
        bounds = (self.action_low, self.action_high)
        if self.head == "action" and any(bound is None or len(bound) != self.output_size for bound in bounds):
            raise ValueError(
                f"head 'action' needs action_low and action_high of length {self.output_size}, got {bounds}"
            )
        if self.head == "q_values" and bounds != (None, None):
            raise ValueError(f"head 'q_values' has no action bounds, got {bounds}")
        if self.num_atoms < 1 or (self.is_categorical and not (self.head == "q_values" and self.v_min < self.v_max)):
            raise ValueError(
                f"num_atoms > 1 needs head 'q_values' and v_min < v_max, got {self.num_atoms} atoms on"
                f" [{self.v_min}, {self.v_max}] for head '{self.head}'"
            )

    @property
    def is_categorical(self) -> bool:
        """Whether q_values are the means of value distributions over atoms."""
        return self.num_atoms > 1

    @property
    def head_size(self) -> int:
        """Units of the last dense layer: num_atoms for each output, those of one action side by side."""
        return self.output_size * self.num_atoms

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names of the dense layers, in order: 'dense_0', ..., 'head'."""
        return (*(f"dense_{i}" for i in range(len(self.hidden_sizes))), "head")

    def variable_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each float32 variable by name, in the order of the computation."""
        size = self.observation_size
        shapes: dict[str, tuple[int, ...]] = {
            "observation_scaling/offset": (size,),
            "observation_scaling/scale": (size,),
        }
        for name, units in zip(self.layer_names, (*self.hidden_sizes, self.head_size)):
            shapes[f"{name}/kernel"], shapes[f"{name}/bias"] = (size, units), (units,)
            size = units
        return shapes

    def action_scaling(self) -> tuple[np.ndarray, np.ndarray]:
        """Middle and half range of the action bounds, float32 [A] each; head 'action' only."""
        low, high = np.asarray(self.action_low, np.float64), np.asarray(self.action_high, np.float64)
        return ((high + low) / 2).astype(np.float32), ((high - low) / 2).astype(np.float32)

    def atoms(self) -> np.ndarray:
        """Values of the atoms, float32 [num_atoms]; categorical q_values only."""
        return np.linspace(self.v_min, self.v_max, self.num_atoms, dtype=np.float32)

    def check_variables(self, variables: Mapping[str, np.ndarray], source: str) -> None:
        """Checks that `variables` are just the ones that this architecture has.

        Args:
          variables: arrays by name.
          source: what they come from, for the message, e.g. 'snapshot 42'.

        Raises:
          ValueError: a variable is missing, unknown, or of another shape or dtype.
        """
        shapes = self.variable_shapes()
        if set(shapes) != set(variables):
            missing, unknown = sorted(set(shapes) - set(variables)), sorted(set(variables) - set(shapes))
            raise ValueError(f"{source}: variables missing: {missing}, unknown: {unknown}; was the network changed?")
        for name, shape in shapes.items():
            got = variables[name]
            if got.shape != shape or got.dtype != np.float32:
                raise ValueError(
                    f"{source}: variable '{name}' is {got.dtype}{list(got.shape)}, the network expects float32{list(shape)}"
                )

    def to_json(self) -> dict[str, Any]:
        """The architecture as plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "PolicyArchitecture":
        """The architecture that `to_json` wrote.

        Raises:
          TypeError, ValueError: a value that `to_json` can't have written.
        """
        fields: dict[str, Any] = {key: tuple(item) if isinstance(item, list) else item for key, item in value.items()}
        return cls(**fields)


def q_architecture(
    spec: environment_spec.EnvironmentSpec, hidden_sizes: tuple[int, ...], activation: str = "relu", **atoms: Any
) -> PolicyArchitecture:
    """The Q network for an environment with discrete actions; `atoms` are num_atoms, v_min and v_max where it is categorical."""
    if spec.num_actions is None:
        raise ValueError(f"{spec.name}: a Q network needs discrete actions, this task has continuous ones")
    return PolicyArchitecture(
        spec.observation_size, tuple(hidden_sizes), spec.num_actions, "q_values", activation, **atoms
    )


def action_architecture(
    spec: environment_spec.EnvironmentSpec, hidden_sizes: tuple[int, ...], activation: str = "relu"
) -> PolicyArchitecture:
    """The deterministic policy network for an environment with continuous actions."""
    if spec.is_discrete:
        raise ValueError(f"{spec.name}: a deterministic policy needs continuous actions, this task has discrete ones")
    return PolicyArchitecture(
        spec.observation_size,
        tuple(hidden_sizes),
        spec.action_size,
        "action",
        activation,
        spec.action_low,
        spec.action_high,
    )
