"""The C++ of a bundle: the model as an aligned array, the constants around it, the resolver of its operators, a small main.cc."""

from collections.abc import Sequence
import pathlib

import numpy as np

from tfquarl.core import environment_spec
from tfquarl.export import c_text
from tfquarl.export import edge_model

TEMPLATES = pathlib.Path(__file__).parent / "templates"

# Operators of TFLite by the method of TensorFlow Lite Micro's MicroMutableOpResolver that registers them.
_MICRO_METHODS = {
    "ABS": "AddAbs",
    "ADD": "AddAdd",
    "AVERAGE_POOL_2D": "AddAveragePool2D",
    "BATCH_MATMUL": "AddBatchMatMul",
    "CONCATENATION": "AddConcatenation",
    "CONV_2D": "AddConv2D",
    "DEPTHWISE_CONV_2D": "AddDepthwiseConv2D",
    "DEQUANTIZE": "AddDequantize",
    "ELU": "AddElu",
    "EXP": "AddExp",
    "EXPAND_DIMS": "AddExpandDims",
    "FULLY_CONNECTED": "AddFullyConnected",
    "HARD_SWISH": "AddHardSwish",
    "LEAKY_RELU": "AddLeakyRelu",
    "LOGISTIC": "AddLogistic",
    "MAXIMUM": "AddMaximum",
    "MAX_POOL_2D": "AddMaxPool2D",
    "MEAN": "AddMean",
    "MINIMUM": "AddMinimum",
    "MUL": "AddMul",
    "NEG": "AddNeg",
    "PACK": "AddPack",
    "PAD": "AddPad",
    "PRELU": "AddPrelu",
    "QUANTIZE": "AddQuantize",
    "RELU": "AddRelu",
    "RELU6": "AddRelu6",
    "RESHAPE": "AddReshape",
    "RSQRT": "AddRsqrt",
    "SHAPE": "AddShape",
    "SOFTMAX": "AddSoftmax",
    "SPLIT": "AddSplit",
    "SQUEEZE": "AddSqueeze",
    "STRIDED_SLICE": "AddStridedSlice",
    "SUB": "AddSub",
    "SUM": "AddSum",
    "TANH": "AddTanh",
    "TRANSPOSE": "AddTranspose",
    "UNPACK": "AddUnpack",
}


def model_data_header(
    model: edge_model.EdgeModel, spec: environment_spec.EnvironmentSpec, arena_bytes: int | None
) -> str:
    """policy_model_data.h: what a program needs to know of the model, and the two maps around it."""
    kind = c_text.C_TYPES[model.io]
    arena = (
        "// Upper bound, measured on 64 bits; a microcontroller needs less.\n"
        f"enum {{ kPolicyArenaBytes = {arena_bytes} }};\n"
        if arena_bytes
        else "// TensorFlow Lite Micro does not run this model: see parity.json.\n"
    )
    return f"""\
// {c_text.comment(spec.name)}: a policy as a TFLite model, with what stands around it.
#ifndef POLICY_MODEL_DATA_H_
#define POLICY_MODEL_DATA_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif

// The bytes of policy.tflite.
extern const unsigned char g_policy_model_data[];
extern const unsigned int g_policy_model_data_size;

enum {{ kPolicyObservationSize = {spec.observation_size} }};
enum {{ kPolicyOutputSize = {output_size(spec)} }};

{arena}
// Type of the model's input and output.
typedef {kind} PolicyNumber;

// From an observation, in the units and order of policy.json, to the model's input.
void PolicyEncode(const float* observation, PolicyNumber* input);

// From the model's output to {"q_values" if spec.is_discrete else "the action, in its own units"}.
void PolicyDecode(const PolicyNumber* output, float* values);

{_action_declarations(spec)}
#ifdef __cplusplus
}}  // extern "C"
#endif

#endif  // POLICY_MODEL_DATA_H_
"""


def model_data_source(model: edge_model.EdgeModel, spec: environment_spec.EnvironmentSpec) -> str:
    """policy_model_data.cc: the bytes, aligned to 16, the two maps, and what makes an action of values."""
    maps = _float_maps() if model.io == "float32" else _integer_maps(model)
    return f"""\
#include "policy_model_data.h"

{maps}{_action_definitions(spec)}
alignas(16) const unsigned char g_policy_model_data[] = {{
{c_text.hex_bytes(model.model)}
}};
const unsigned int g_policy_model_data_size = {len(model.model)};
"""


def op_resolver_header(model: edge_model.EdgeModel, refusal: str) -> str:
    """policy_op_resolver.h: registers just the operators that the model has.

    Args:
      model: it.
      refusal: why TensorFlow Lite Micro does not run it; '' where it does.
    """
    names = sorted({name for name, _ in model.operators})
    unknown = [name for name in names if name not in _MICRO_METHODS]
    if refusal or unknown:
        reason = refusal or f"no kernel is known for {', '.join(unknown)}"
        return f'#error "TensorFlow Lite Micro does not run this model: {c_text.comment(reason).replace(chr(34), chr(39))}"\n'
    adds = "\n".join(f"  TF_LITE_ENSURE_STATUS(resolver->{_MICRO_METHODS[name]}());" for name in names)
    return f"""\
// The operators of policy.tflite, and no others, for TensorFlow Lite Micro.
#ifndef POLICY_OP_RESOLVER_H_
#define POLICY_OP_RESOLVER_H_

#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"

typedef tflite::MicroMutableOpResolver<{len(names)}> PolicyOpResolver;

inline TfLiteStatus RegisterPolicyOperators(PolicyOpResolver* resolver) {{
{adds}
  return kTfLiteOk;
}}

#endif  // POLICY_OP_RESOLVER_H_
"""


def template(name: str) -> str:
    """Text of a file that is the same in all bundles: 'main.cc' or 'run_policy.py'."""
    return (TEMPLATES / f"{name}.template").read_text()


def output_size(spec: environment_spec.EnvironmentSpec) -> int:
    """Elements of the model's output."""
    return spec.num_actions if spec.num_actions is not None else spec.action_size


def _float_maps() -> str:
    return """\
void PolicyEncode(const float* observation, PolicyNumber* input) {
  for (int i = 0; i < kPolicyObservationSize; ++i) input[i] = observation[i];
}

void PolicyDecode(const PolicyNumber* output, float* values) {
  for (int i = 0; i < kPolicyOutputSize; ++i) values[i] = output[i];
}
"""


def _integer_maps(model: edge_model.EdgeModel) -> str:
    core = model.core
    if core is None:
        raise ValueError("a model with integer input has an integer core")
    constants = {
        "kInputOffset[kPolicyObservationSize]": core.encode.offset,
        "kInputMultiplier[kPolicyObservationSize]": core.encode.multiplier,
        "kOutputMultiplier[kPolicyOutputSize]": core.decode.multiplier,
        "kOutputAddend[kPolicyOutputSize]": core.decode.addend,
    }
    arrays = "\n".join(f"static const float {name} = {_braces(values)};" for name, values in constants.items())
    return f"""\
#include <math.h>

// Observation scaling, quantization and action bounds in one multiplication and one addition or subtraction each.
{arrays}
static const float kInputZeroPoint = {c_text.number(core.input_zero_point)};

void PolicyEncode(const float* observation, PolicyNumber* input) {{
  for (int i = 0; i < kPolicyObservationSize; ++i) {{
    float x = rintf((observation[i] - kInputOffset[i]) * kInputMultiplier[i]) + kInputZeroPoint;
    if (!(x > -128.0f)) x = -128.0f;  // not-a-number too
    if (x > 127.0f) x = 127.0f;
    input[i] = (PolicyNumber)x;
  }}
}}

void PolicyDecode(const PolicyNumber* output, float* values) {{
  for (int i = 0; i < kPolicyOutputSize; ++i) {{
    values[i] = (float)output[i] * kOutputMultiplier[i] + kOutputAddend[i];
  }}
}}
"""


def _braces(values: np.ndarray) -> str:
    items: Sequence[str] = c_text.row(values).split(", ")
    lines = [", ".join(items[i : i + 6]) for i in range(0, len(items), 6)]
    return "{\n    " + ",\n    ".join(lines) + "}"


def _action_declarations(spec: environment_spec.EnvironmentSpec) -> str:
    if spec.is_discrete:
        return """\
// Index of the largest of the values.
int PolicyGreedyAction(const float* values);
"""
    return """\
// Bounds of the action, in its own units.
extern const float kPolicyActionLow[kPolicyOutputSize];
extern const float kPolicyActionHigh[kPolicyOutputSize];

// Moves values beyond the bounds to them: rounded ones, and those of networks that know no bounds. No action is given without it.
void PolicyClip(float* values);
"""


def _action_definitions(spec: environment_spec.EnvironmentSpec) -> str:
    if spec.is_discrete:
        return """
int PolicyGreedyAction(const float* values) {
  int best = 0;
  for (int i = 1; i < kPolicyOutputSize; ++i) {
    if (values[i] > values[best]) best = i;
  }
  return best;
}
"""
    low, high = spec.action_bounds
    return f"""
const float kPolicyActionLow[kPolicyOutputSize] = {_braces(low)};
const float kPolicyActionHigh[kPolicyOutputSize] = {_braces(high)};

void PolicyClip(float* values) {{
  for (int i = 0; i < kPolicyOutputSize; ++i) {{
    if (values[i] < kPolicyActionLow[i]) values[i] = kPolicyActionLow[i];
    if (values[i] > kPolicyActionHigh[i]) values[i] = kPolicyActionHigh[i];
  }}
}}
"""
