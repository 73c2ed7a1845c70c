"""An inspection as aligned tables, for people."""

from collections.abc import Iterator

from tfquarl.core import errors
from tfquarl.core import records
from tfquarl.export import inspection as inspection_lib
from tfquarl.export import weight_errors
from tfquarl.metrics import table
from tfquarl.quantization import parity
from tfquarl.runtime import flatbuffer


def describe(inspection: inspection_lib.Inspection) -> str:
    """All of it, ending in a line break; raises `ArtifactError` where the manifest is no policy's."""
    return "\n".join(_sections(inspection))


def _sections(inspection: inspection_lib.Inspection) -> Iterator[str]:
    artifact, layout = inspection.artifact, inspection.layout
    constants = sum(tensor.num_bytes for tensor in layout.tensors if tensor.is_constant)
    yield (
        f"policy {artifact.version} after {artifact.train_step:,} train steps, recipe {artifact.recipe}: "
        f"{len(artifact.model):,} bytes, {constants:,} of them constants\n"
    )
    if "low_bit" in artifact.manifest:
        yield _true_widths(artifact)
    header = ("tensor", "name", "shape", "type", "scale", "zero point", "bytes", "constant")
    yield "Tensors\n" + table.format_table(header, [_tensor_row(tensor) for tensor in layout.tensors])
    rows = [
        (operator.name, *(_names(layout, side) for side in (operator.inputs, operator.outputs)), operator.activation)
        for operator in layout.operators
    ]
    yield "Operators\n" + table.format_table(("operator", "takes", "gives", "activation"), rows)
    if inspection.weights:
        yield "Weights, worst first\n" + _weights_table(inspection)
    if inspection.study is not None:
        yield from _study_sections(inspection.study)


def _true_widths(artifact: records.PolicyArtifact) -> str:
    try:
        facts = artifact.manifest["low_bit"]
        return (
            f"true widths: weights {facts['weights']} bits, activations {facts['activations']}, input {facts['inputs']}, output "
            f"{facts['outputs']}; constants of that width take {facts['packed_bytes']:,} bytes where they are packed\n"
        )
    except (KeyError, TypeError, ValueError) as error:
        raise errors.ArtifactError(
            f"policy {artifact.version}: its manifest does not describe its widths, 'low_bit' ({error}); was it edited?"
        ) from error


def _tensor_row(tensor: flatbuffer.Tensor) -> tuple[str | float | None, ...]:
    is_single = len(tensor.scales) == 1
    scale = tensor.scales[0] if is_single else f"{len(tensor.scales)} of them" if tensor.scales else None
    return (
        tensor.index,
        tensor.name,
        " x ".join(map(str, tensor.shape)),
        tensor.dtype,
        scale,
        int(tensor.zero_points[0]) if is_single else None,
        tensor.num_bytes,
        "yes" if tensor.is_constant else "",
    )


def _names(layout: flatbuffer.ModelLayout, indices: tuple[int, ...]) -> str:
    return ", ".join(layout.tensors[index].name for index in indices)


def _weights_table(inspection: inspection_lib.Inspection) -> str:
    rows = [
        (
            error.layer,
            error.dtype,
            error.sqnr_db,
            error.largest,
            error.peak_to_rms,
            _percent(error.zeroed_share),
        )
        for error in weight_errors.rank(inspection.weights)
    ]
    return table.format_table(("layer", "type", "SQNR (dB)", "largest", "largest / rms", "made zero (%)"), rows)


def _study_sections(study: inspection_lib.LayerStudy) -> Iterator[str]:
    header = (
        "tensor",
        "operator",
        "output SQNR (dB)",
        "own SQNR (dB)",
        "SQNR (dB)",
        "range used (%)",
        "saturated (%)",
    )
    rows = [
        (
            error.name,
            error.operation,
            error.output_sqnr_db,
            error.own_sqnr_db,
            error.sqnr_db,
            _percent(error.range_used),
            _percent(error.saturation_share),
        )
        for error in study.errors
    ]
    yield f"Layers on {study.source}, worst first\n" + table.format_table(header, rows)
    figures: list[tuple[str, float | None]] = [("SQNR (dB)", study.output_sqnr_db)] + [
        _figure(name, value) for name, value in study.output_figures.items()
    ]
    yield "Output against the float policy\n" + table.format_table(("figure", "value"), figures)


def _figure(name: str, value: float) -> tuple[str, float | None]:
    text, is_share = parity.LABELS[name]
    return (f"{text} (%)", _percent(value)) if is_share else (text, value)


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share
