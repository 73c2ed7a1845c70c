"""The one place that imports tensorflow-model-optimization, after TF-Agents, so that both see the Keras of TensorFlow itself.

Versions from 0.8.0 on set TF_USE_LEGACY_KERAS and load the package tf_keras: layers made before and after that are of different Keras
packages, and TFMOT refuses those of TF-Agents with "not a supported layer type". 0.7.5, the version of the lock, leaves Keras alone.
"""

import sys

from tensorflow_model_optimization.python.core.quantization.keras import quant_ops
from tensorflow_model_optimization.python.core.quantization.keras import quantizers
from tf_agents.networks import network as _tf_agents_network  # noqa: F401, imported for its order: Keras is chosen by it

if "tf_keras" in sys.modules:
    raise ImportError(
        "tf_keras is loaded beside TensorFlow's own Keras, so that TF-Agents and tensorflow-model-optimization would disagree; "
        "install the versions of requirements.txt, and leave TF_USE_LEGACY_KERAS unset"
    )

__all__ = ["quant_ops", "quantizers"]
