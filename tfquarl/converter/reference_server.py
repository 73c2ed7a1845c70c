"""The child process of the reference path: reads requests from its standard input, converts, writes models to its standard output."""

import os
import select
import signal
import sys

from tfquarl.converter import reference_frames
from tfquarl.core import without_pandas  # noqa: F401  # what it does, it does when imported


def serve(idle_sec: float) -> None:
    """Answers requests until the input ends, or until none has come for `idle_sec`."""
    # Ctrl-C is the parent's to answer; the end of the input ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    source = sys.stdin.buffer
    target = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what TensorFlow prints must not land between the frames
    from tfquarl.converter import reference_path  # takes seconds: only here is TensorFlow imported

    while select.select([source], [], [], idle_sec)[0]:
        data = reference_frames.read_frame(source)
        if data is None:
            return
        request = reference_frames.unpack_request(data)
        try:
            answer = reference_frames.pack_model(
                reference_path.convert(
                    request.architecture,
                    request.recipe,
                    request.variables,
                    request.observations,
                    request.scale_observations,
                )
            )
        except Exception as error:  # whatever TFLiteConverter raises is the caller's to see
            answer = reference_frames.pack_error(f"{type(error).__name__}: {error}")
        reference_frames.write_frame(target, answer)


if __name__ == "__main__":
    serve(float(sys.argv[1]))
