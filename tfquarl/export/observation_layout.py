"""What each element of a flat observation is called and measured in, for the person who wires the sensors."""

from collections.abc import Mapping
import json
import math
import pathlib
from typing import Any

import numpy as np

from tfquarl.core import environment_spec
from tfquarl.core import errors
from tfquarl.core import files

UNKNOWN_UNIT = "as the environment gives it"

_ANGLES = [("cos(angle 1)", "1"), ("sin(angle 1)", "1"), ("cos(angle 2)", "1"), ("sin(angle 2)", "1")]
_CAR = [("position", "m"), ("velocity", "m per step")]

# Elements of the field 'observation', by the part of the task's name after the suite and before its version.
_GYM = {
    "CartPole": [("cart position", "m"), ("cart velocity", "m/s"), ("pole angle", "rad"), ("pole velocity", "rad/s")],
    "MountainCar": _CAR,
    "MountainCarContinuous": _CAR,
    "Acrobot": [*_ANGLES, ("velocity 1", "rad/s"), ("velocity 2", "rad/s")],
    "Pendulum": [("cos(angle)", "1"), ("sin(angle)", "1"), ("velocity", "rad/s")],
}
# Units of the fields of DeepMind Control Suite tasks, which count in metres, radians and seconds.
_DM_CONTROL = {
    "position": "m or rad",
    "velocity": "m/s or rad/s",
    "orientation": "1 (cosines and sines)",
    "orientations": "1 (cosines and sines)",
    "height": "m",
    "head_height": "m",
    "to_target": "m",
    "dist_to_target": "m",
    "target_position": "m",
    "joint_angles": "rad",
    "extremities": "m",
    "com_velocity": "m/s",
    "torso_vertical": "1 (cosines)",
    "upright": "1 (cosine)",
    "touch": "log(1 + N)",
}


def observation_layout(
    spec: environment_spec.EnvironmentSpec, units: Mapping[str, list[Mapping[str, str]]] | None = None
) -> list[dict[str, Any]]:
    """One row for each element of the flat observation: 'index', 'field', 'name', 'unit'.

    Args:
      spec: of the environment.
      units: for each field that the caller knows better, a name and a unit for each element, of `read_units`.

    Raises:
      ConfigError: `units` has an unknown field, or another number of elements than the field.
    """
    units = units or {}
    known = {field.name: field for field in spec.observation_fields}
    for name, given in units.items():
        if name not in known or len(given) != known[name].size:
            needs = ", ".join(f"{field.name} ({field.size})" for field in spec.observation_fields)
            raise errors.ConfigError(f"units name {len(given)} elements of field '{name}'; {spec.name} has {needs}")
    return [
        {"index": field.offset + i, "field": field.name, **_element(spec, field, i, units.get(field.name))}
        for field in spec.observation_fields
        for i in range(field.size)
    ]


def read_units(path: pathlib.Path) -> dict[str, list[Mapping[str, str]]]:
    """Reads a JSON object: for each field a list of {"name": ..., "unit": ...}.

    Raises:
      ConfigError: the file is of another form.
      ArtifactError: it is larger than any such file.
      StorageError: it can't be read.
    """
    try:
        value = json.loads(files.read_bytes(path, files.MAX_JSON_BYTES))
        return {
            str(field): [{k: str(item[k]) for k in ("name", "unit")} for item in items]
            for field, items in value.items()
        }
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        form = '{"field": [{"name": "arm angle", "unit": "rad"}]}'
        raise errors.ConfigError(f"{path} is no JSON of the form {form}: {error}") from error


def _element(
    spec: environment_spec.EnvironmentSpec,
    field: environment_spec.ObservationField,
    i: int,
    given: list[Mapping[str, str]] | None,
) -> dict[str, str]:
    if given is not None:
        return dict(given[i])
    suite, _, task = spec.name.partition(":")
    elements = _GYM.get(task.partition("-")[0]) if suite in ("gym", "gymnasium") else None
    if elements is not None and len(elements) == field.size:
        return {"name": elements[i][0], "unit": elements[i][1]}
    unit = _DM_CONTROL.get(field.name.rpartition("/")[2], UNKNOWN_UNIT) if suite == "dm_control" else UNKNOWN_UNIT
    if not math.prod(field.shape) > 1:
        return {"name": field.name, "unit": unit}
    position = ",".join(str(int(index)) for index in np.unravel_index(i, field.shape))
    return {"name": f"{field.name}[{position}]", "unit": unit}
