"""The reference path in a process of its own, so that the converter's process never holds TensorFlow's 480 MB."""

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from typing import IO

from tfquarl.converter import reference_frames
from tfquarl.core import errors

_IDLE_SEC = 20.0
_LOG_TAIL_BYTES = 2000


class ReferenceProcess:
    """Starts the process when it is first needed and again when it is needed later; it ends by itself when it idles.

    Several converters may share one, also from several threads: the 3 s that importing TensorFlow takes are then spent once.
    """

    def __init__(self, idle_sec: float = _IDLE_SEC) -> None:
        """Stores how long the process waits for a next request before it ends."""
        self._idle_sec = idle_sec
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None  # what the process writes to its standard error

    def convert(self, request: reference_frames.ConversionRequest) -> bytes:
        """The policy as `reference_path.convert` gives it.

        Raises:
          ConversionError: TFLiteConverter refuses the policy, or its process died.
        """
        data = reference_frames.pack_request(request)
        with self._lock:
            answer = self._exchange(data)
            if answer is None:  # it idled out between our look and our request
                self._end()
                answer = self._exchange(data)
            if answer is None:
                tail = self._log_tail()
                self._end()
                raise errors.ConversionError(f"the process of TFLiteConverter died: {tail}")
        return reference_frames.unpack_answer(answer)

    def close(self) -> None:
        """Ends the process, after a conversion that another thread waits for."""
        with self._lock:
            if self._process is not None:
                self._process.kill()
            self._end()

    def _exchange(self, data: bytes) -> bytes | None:
        if self._process is None or self._process.poll() is not None:
            self._end()
            self._start()
        assert self._process is not None and self._process.stdin is not None and self._process.stdout is not None
        try:
            reference_frames.write_frame(self._process.stdin, data)
        except BrokenPipeError:
            return None
        return reference_frames.read_frame(self._process.stdout)

    def _start(self) -> None:
        self._log = log = tempfile.TemporaryFile()  # noqa: SIM115, closed when the process ends
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path), TF_CPP_MIN_LOG_LEVEL="2")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tfquarl.converter.reference_server", str(self._idle_sec)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
        )

    def _end(self) -> None:
        if self._process is not None:
            for pipe in (self._process.stdin, self._process.stdout):
                with contextlib.suppress(BrokenPipeError):
                    if pipe is not None:
                        pipe.close()
            self._process.wait()
        if self._log is not None:
            self._log.close()
        self._process = self._log = None

    def _log_tail(self) -> str:
        if self._log is None:
            return "it left no message"
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - _LOG_TAIL_BYTES))
        return self._log.read().decode(errors="replace").strip()
