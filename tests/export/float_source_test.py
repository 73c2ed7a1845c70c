"""Float policies that were not trained here become candidates under every recipe that was asked for."""

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
