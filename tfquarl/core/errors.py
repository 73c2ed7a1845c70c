"""The errors that tfquarl raises for causes outside its own code.

Each message names the thing, what it got, what it needs and the remedy. A program prints a `TfquarlError` as one line and
exits with 1; anything else is a defect of tfquarl and shows its traceback.
"""


class TfquarlError(Exception):
    """Base of all errors whose cause a user can mend."""


class ConfigError(TfquarlError):
    """A configuration that can't be run: unknown name, wrong value, missing file."""


class StorageError(TfquarlError):
    """A file or directory that can't be written or read: no space, no permission, not a directory."""


class TaskError(TfquarlError):
    """An environment that can't be made, or that broke its own specification."""


class ArtifactError(TfquarlError):
    """Bytes that are not what they say: truncated, altered, of an unknown format, or with a digest that doesn't match."""


class ConversionError(TfquarlError):
    """A snapshot that can't become a TFLite model, with the variable or the op that stands in the way."""


class RefusedModelError(ArtifactError, ConversionError):
    """A model that is whole and that no runtime can run: the scales of its layers are beyond what kernels take."""


class ParityError(TfquarlError):
    """A converted policy that does not act like the float one, with the figures."""


class PublicationError(TfquarlError):
    """A publication table that is missing or of another shape than this client expects."""


class PortError(TfquarlError):
    """A port that another program holds, or that this user may not open."""


class RemoteTimeoutError(TfquarlError):
    """A server or another process of the run that did not answer within its deadline."""


class StalePolicyError(TfquarlError):
    """A collector that has seen no newer policy for longer than `max_policy_age_sec`."""


class NumericalError(TfquarlError):
    """A NaN or an infinity, stopped where it appeared, by name."""


class NodeFailedError(TfquarlError):
    """A process of the run that died, with its reason and its log file."""
