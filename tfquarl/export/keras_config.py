"""What a Keras file says that it is made of, checked before Keras makes anything of it: a config can name code of all of TensorFlow.

Keras finds the classes, functions and modules of a config by their names. A layer of the class TFOpLambda calls whatever function of
TensorFlow it names (`load_library`, `io.write_file`), a Lambda layer is Python bytecode, and Keras' own `safe_mode` stops only the second
and only in one of the formats. So a config may name what stands in the lists here, and nothing else.
"""

from collections.abc import Iterator
import json
import pathlib
from typing import Any
import zipfile

import h5py

from tfquarl.core import errors
from tfquarl.core import files
from tfquarl.core import wire

MAX_UNPACKED_BYTES = 4 * wire.MAX_PAYLOAD_BYTES


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_CONFIG = "config.json"
_MODELS = frozenset({"Functional", "Model", "Sequential"})
_LAYERS = _names("""
    Activation ActivityRegularization Add AlphaDropout Average AveragePooling1D AveragePooling2D BatchNormalization Concatenate Conv1D
    Conv2D Cropping1D Cropping2D Dense DepthwiseConv1D DepthwiseConv2D Dot Dropout ELU Flatten GaussianDropout GaussianNoise
    GlobalAveragePooling1D GlobalAveragePooling2D GlobalMaxPooling1D GlobalMaxPooling2D GroupNormalization GRU InputLayer
    LayerNormalization LeakyReLU LSTM MaxPooling1D MaxPooling2D Maximum Minimum Multiply Normalization PReLU Permute ReLU RepeatVector
    Rescaling Reshape SeparableConv1D SeparableConv2D Softmax SpatialDropout1D SpatialDropout2D Subtract ThresholdedReLU
    UnitNormalization ZeroPadding1D ZeroPadding2D""")
_SETTINGS = {
    "initializer": _names("""
        Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity LecunNormal LecunUniform Ones Orthogonal RandomNormal
        RandomUniform TruncatedNormal VarianceScaling Zeros"""),
    "regularizer": frozenset({"L1", "L2", "L1L2", "OrthogonalRegularizer"}),
    "constraint": frozenset({"MaxNorm", "MinMaxNorm", "NonNeg", "RadialConstraint", "UnitNorm"}),
}
_VALUES = frozenset({"Policy", "TensorShape", "__numpy__", "__tensor__", "__tuple__"})
"""Types of numbers, shapes and arrays."""

_CLASSES = _MODELS.union(_LAYERS, _VALUES, *_SETTINGS.values())
_OPERATION_LAYERS = frozenset({"SlicingOpLambda", "TFOpLambda"})
_OPERATIONS = _names("""
    __operators__.add __operators__.getitem cast clip_by_value compat.v1.squeeze compat.v1.transpose concat expand_dims linalg.matmul
    math.abs math.add math.exp math.maximum math.minimum math.multiply math.negative math.pow math.reduce_max math.reduce_mean
    math.reduce_sum math.sigmoid math.softplus math.sqrt math.square math.subtract math.tanh math.truediv nn.elu nn.gelu nn.leaky_relu
    nn.relu nn.relu6 nn.silu nn.softmax reshape split stack""")
"""What arithmetic on Keras tensors is saved as, `output * bound` for one."""

_ACTIVATIONS = _names("""
    elu exponential gelu hard_sigmoid leaky_relu linear mish relu relu6 selu sigmoid silu softmax softplus softsign swish
    tanh""")


def check(path: pathlib.Path) -> None:
    """Checks that the file of a Keras model names only what policies are made of; nothing of it is loaded.

    Args:
      path: .keras or .h5, of either format, as Keras takes them.

    Raises:
      ConfigError: it names something else: a class, function or module; with its name. Or it holds no model's config.
    """
    config = _read(path)
    if not isinstance(config, dict) or config.get("class_name") not in _MODELS:
        raise errors.ConfigError(f"{path} can't be loaded as a Keras model: it holds no model's config; is it whole?")
    config.pop("compile_config", None)  # of training; `load_model(compile=False)` leaves it out as well
    for culprit in _strangers(config):
        raise errors.ConfigError(
            f"{path} has {culprit}, which may be code; a policy is read if it is made of Keras' own layers (Dense, Normalization, "
            "Rescaling, ...), activations and initializers only"
        )


def _read(path: pathlib.Path) -> Any:
    """The config that Keras would read: it looks at the name first, then at the bytes."""
    try:
        if path.suffix == ".keras" and zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                size = sum(member.file_size for member in archive.infolist())
                if size > MAX_UNPACKED_BYTES or archive.getinfo(_CONFIG).file_size > files.MAX_JSON_BYTES:
                    raise errors.ConfigError(f"{path} unpacks to {size} bytes, which is no policy")
                return json.loads(archive.read(_CONFIG))
        with h5py.File(path) as file:
            text = file.attrs.get("model_config", "null")
            return json.loads(text.decode("utf-8") if isinstance(text, bytes) else str(text))
    except errors.ConfigError:
        raise
    except Exception as error:  # damaged files make h5py, zipfile and zlib raise errors of all kinds
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise errors.ConfigError(f"{path} can't be loaded as a Keras model: {reason}; is it whole?") from error


def _strangers(config: dict[str, Any]) -> Iterator[str]:
    """What the lists lack, each as 'a layer of class 'X'' or the like."""
    waiting: list[Any] = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            if "class_name" in value:
                yield from _strange_object(value)
            for key, item in value.items():
                if isinstance(item, str):
                    yield from _strange_name(key, item)
                elif key == "layers" and isinstance(item, list) and not all(isinstance(layer, dict) for layer in item):
                    yield "a layer that is given by its name alone"
            waiting += value.values()


def _strange_object(value: dict[str, Any]) -> Iterator[str]:
    """Of a dict that Keras makes an object of."""
    name, module, registered = (value.get(key) for key in ("class_name", "module", "registered_name"))
    settings = value.get("config")
    function = settings.get("function") if isinstance(settings, dict) else None
    if isinstance(name, str) and name in _OPERATION_LAYERS:
        if not isinstance(function, str) or function not in _OPERATIONS:
            yield f"a layer of class '{name}' that calls {_short(function)}"
    elif not isinstance(name, str) or name not in _CLASSES:
        yield f"the class {_short(name)}"
    if module is not None and not (isinstance(module, str) and f"{module}.".startswith("keras.")):
        yield f"the class {_short(name)} of the module {_short(module)}"
    if registered is not None and registered != name:
        yield f"the class {_short(name)} registered as {_short(registered)}"


def _strange_name(key: str, name: str) -> Iterator[str]:
    """Of a setting that Keras finds a function or class by."""
    kind = key.rsplit("_", 1)[-1]
    if kind == "activation" and name not in _ACTIVATIONS:
        yield f"the activation {_short(name)}"
    if kind in _SETTINGS and name.replace("_", "").lower() not in {known.lower() for known in _SETTINGS[kind]}:
        yield f"the {kind} {_short(name)}"


def _short(name: Any) -> str:
    return repr(name)[:80]
