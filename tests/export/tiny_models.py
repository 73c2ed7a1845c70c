"""Flatbuffers of small policies."""

from tfquarl.converter import policy_converter
from tfquarl.core import records
from tfquarl.quantization import recipe as recipe_lib
from tfquarl.testing import tiny_policies


def convert(policy: tiny_policies.TinyPolicy, recipe: str = "static_wi8_ai8") -> bytes:
    """The policy's flatbuffer with float input and output."""
    converter = policy_converter.PolicyConverter(policy.architecture, recipe_lib.from_name(recipe))
    return converter.convert(records.PolicySnapshot(1, 1, policy.variables), policy.observations)
