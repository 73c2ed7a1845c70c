"""Float policies that were not trained here become candidates under every recipe that was asked for."""

import numpy as np
import pytest

from tests.export import tiny_models
from tfquarl.export import acting
from tfquarl.export import float_source
from tfquarl.quantization import recipe as recipe_lib
from tfquarl.testing import tiny_policies


@pytest.mark.parametrize("name", ["ptq_wi4_ai8", "qat_wi4_ai8"])
def test_weights_under_the_recipe_that_was_asked_for_beside_all_others(name: str, monkeypatch: pytest.MonkeyPatch):
    processes = tiny_models.record_processes(monkeypatch)
    arm = tiny_policies.arm_policy()
    source = float_source.Weights(arm.architecture, arm.variables)
    observations = acting.split(arm.observations, "a test")
    made = float_source.make_candidate(source, arm.spec, "action", recipe_lib.from_name(name), observations, {})
    assert set(made.models) == {*recipe_lib.NAMES, name} and not made.missing
    assert [process.poll() is not None for process in processes] == [True]  # one, which has ended


@pytest.mark.parametrize(
    ("lowest", "highest", "complaint"),
    [
        ([-1, 0], [1, 10], ""),
        ([-1, 0], [1, 0], ""),
        ([0, 0], [0, 0], ""),
        (
            [-1, -255],
            [1, 255],
            "one step for all features, 1 of which are all of feature 0's range; use --recipe=static_wi8_ai16",
        ),
        ([0, 1018], [10, 1020], "one step for all features, 0.5 of which are all of feature 1's range"),
    ],
    ids=["a fifth", "constant feature", "zeros", "narrow feature", "narrow feature far from 0"],
)
@pytest.mark.filterwarnings("error")
def test_a_feature_with_few_of_the_common_steps_is_named_with_the_remedies(lowest, highest, complaint: str):
    remedy = float_source.coarse_feature_remedy(np.float32([lowest, highest]), "Keras model")
    assert remedy == "" if not complaint else complaint in remedy
