"""Runs a model on one runtime, in a process of its own: other runtimes may be large, may crash, and say things on stderr.

    python -m tfquarl.runtime.trial_main RUNTIME KERNELS MODEL INPUTS.npy OUTPUTS.npy

The last line of stdout is a JSON object: 'version' of the runtime, 'refused' with the reason where it does not run the model, and
'arena_bytes' of TensorFlow Lite Micro.
"""

from collections.abc import Callable
import importlib
import importlib.metadata
import json
import multiprocessing
import pathlib
import sys
from typing import Any

import numpy as np

from tfquarl.core import errors

PACKAGES = {"ai-edge-litert": "ai_edge_litert", "tensorflow": "tensorflow", "tflite-micro": "tflite_micro"}

# Imported by name: nothing else of this package may load what collectors do without.
_LIBRARIES = {"ai-edge-litert": "ai_edge_litert.interpreter", "tensorflow": "tensorflow.lite.python.interpreter"}

# Bytes. What does not run in this arena is refused for another reason, or would fit no microcontroller; memory that is not used is not
# touched.
_LARGEST_ARENA = 2**28


def main(arguments: list[str]) -> None:
    """Runs the trial that the arguments describe; the module's docstring tells how."""
    runtime, kernels, model_file, inputs_file, outputs_file = arguments
    model, inputs = pathlib.Path(model_file).read_bytes(), np.load(inputs_file, allow_pickle=False)
    report: dict[str, Any] = {"version": importlib.metadata.version(runtime)}
    try:
        if runtime == "tflite-micro":
            np.save(outputs_file, _run_micro(model, inputs, _LARGEST_ARENA))
            report["arena_bytes"] = _smallest_arena(model, inputs[:1])
        else:
            np.save(outputs_file, _tflite_runner(runtime, kernels)(model, inputs))
    except errors.ArtifactError as error:
        report["refused"] = str(error)
    sys.stdout.write("\n" + json.dumps(report) + "\n")


def _tflite_runner(runtime: str, kernels: str) -> Callable[[bytes, np.ndarray], np.ndarray]:
    from tfquarl.runtime import model_runner

    library = importlib.import_module(_LIBRARIES[runtime])
    return lambda model, inputs: model_runner.ModelRunner(model, kernels, library).run(inputs)


def _run_micro(model: bytes, inputs: np.ndarray, arena_bytes: int) -> np.ndarray:
    from tflite_micro import runtime

    try:
        interpreter = runtime.Interpreter.from_bytes(model, arena_size=arena_bytes)
        outputs = []
        for row in inputs:
            interpreter.set_input(row[np.newaxis], 0)
            interpreter.invoke()
            outputs.append(interpreter.get_output(0).copy())
    except (RuntimeError, ValueError) as error:
        raise errors.ArtifactError(str(error)) from error
    return np.concatenate(outputs)


def _smallest_arena(model: bytes, inputs: np.ndarray) -> int:
    """The smallest arena, a multiple of 16, with which a model runs that does in the largest.

    What the interpreter says that it uses is less: it needs more while it prepares the operators. This one also keeps records of
    its allocations, so that one without needs a little less.
    """
    too_small, enough = 0, 1024
    while not _runs(model, inputs, enough):
        too_small, enough = enough, 2 * enough
    while enough - too_small > 16:
        middle = (too_small + enough) // 32 * 16
        if _runs(model, inputs, middle):
            enough = middle
        else:
            too_small = middle
    return enough


def _runs(model: bytes, inputs: np.ndarray, arena_bytes: int) -> bool:
    """Tried in a child process: in some arenas that are too small TensorFlow Lite Micro crashes."""
    child = multiprocessing.get_context("fork").Process(target=_run_micro, args=(model, inputs, arena_bytes))
    child.start()
    child.join()
    return child.exitcode == 0


if __name__ == "__main__":
    main(sys.argv[1:])
