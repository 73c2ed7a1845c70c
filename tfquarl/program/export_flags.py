"""The flags that //tools:export and //tools:quantize share."""

import math

from absl import flags

from tfquarl.quantization import recipe


def define() -> None:
    """Defines the flags; a tool calls it before the command line is parsed, and `export.command.parsed_flags` reads them."""
    flags.DEFINE_string(
        "output_dir", None, "The directory that the bundle becomes: new, empty, or with --overwrite another bundle."
    )
    flags.DEFINE_bool("overwrite", False, "Replace a bundle that is the --output_dir, with all files in it.")
    flags.DEFINE_enum("io", "float32", recipe.IO_TYPES, "Type of the model's input and output.")
    flags.DEFINE_list("verify", [], "Runtimes to verify on beside the installed ones: arm64.")
    flags.DEFINE_integer("episodes", 0, "Episodes to play, of the exported and the float policy.", lower_bound=0)
    flags.DEFINE_float(
        "tolerance_steps", None, "Output steps by which runtimes may differ. Default: by the model.", lower_bound=0
    )
    flags.DEFINE_float(
        "max_error_share",
        0.05,
        "How far the policy may be from the float one; 0.05 is 5 % of the range.",
        lower_bound=0,
    )
    flags.DEFINE_string("units", None, 'A JSON file, {"field": [{"name": "arm angle", "unit": "rad"}]}.')
    flags.DEFINE_integer("seed", 0, "Of episodes and of collected observations.", lower_bound=0)
    for name in ("tolerance_steps", "max_error_share"):
        flags.register_validator(name, lambda value: value is None or math.isfinite(value), "needs a finite number")
