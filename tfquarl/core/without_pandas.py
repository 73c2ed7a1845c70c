"""Imported before TensorFlow, by processes that only run networks: hides pandas, which codecarbon brings.

Keras imports pandas wherever it finds it, to accept its tables as input. That costs a process a second and 32 MB, for nothing.
"""

import sys

if "pandas" not in sys.modules:
    sys.modules["pandas"] = None  # type: ignore[assignment]  # by Python's rule an import then fails as if it were not installed
