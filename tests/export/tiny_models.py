"""Flatbuffers of small policies, and what making them starts."""

import subprocess
from typing import Any

import pytest

from tfquarl.converter import policy_converter
from tfquarl.core import records
from tfquarl.quantization import recipe as recipe_lib
from tfquarl.testing import tiny_policies


def convert(policy: tiny_policies.TinyPolicy, recipe: str = "static_wi8_ai8") -> bytes:
    """The policy's flatbuffer with float input and output."""
    converter = policy_converter.PolicyConverter(policy.architecture, recipe_lib.from_name(recipe))
    return converter.convert(records.PolicySnapshot(1, 1, policy.variables), policy.observations)


def record_processes(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """The processes of TFLiteConverter that are started from now on."""
    started: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen

    def record(command: list[str], **arguments: Any) -> subprocess.Popen[bytes]:
        process = start(command, **arguments)
        if "tfquarl.converter.reference_server" in command:
            started.append(process)
        return process

    monkeypatch.setattr(subprocess, "Popen", record)
    return started
