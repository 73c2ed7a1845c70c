"""The place of a collector's policy: the next one is fetched and built beside the loop, and swapped in amid the steps."""

import collections
from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import time

from absl import logging

from tfquarl.core import errors
from tfquarl.core import interfaces
from tfquarl.core import records
from tfquarl.core import repeater

_NUM_LATENCIES = 1000


@dataclasses.dataclass(frozen=True)
class _Entry:
    version: int
    policy: interfaces.Policy | None
    created_sec: float | None = None
    ready_sec: float = 0.0


@dataclasses.dataclass(frozen=True)
class Latency:
    """How old the weights of one policy were.

    Attributes:
      ready_sec: when its interpreter was ready.
      use_sec: when it was swapped in.
    """

    ready_sec: float
    use_sec: float


class PolicySlot:
    """Holds the live policy and the next one.

    with slot:                  # looks for newer policies in a thread of its own
        ...
        slot.swap()             # between two steps: a reference changes
        slot.policy(observations)

    In a single process there is no thread: `poll_now` looks once.

    Attributes:
      pull_sec: seconds so far in which newer artifacts were fetched and verified.
      load_sec: seconds so far in which they became policies.
    """

    def __init__(
        self,
        source: interfaces.ArtifactSource,
        make_policy: Callable[[records.PolicyArtifact], interfaces.Policy],
        poll_interval_sec: float,
        max_policy_age_sec: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Stores its parts.

        Args:
          source: of artifacts; used by one thread at a time.
          make_policy: builds what runs an artifact; an `ArtifactError` from it refuses the artifact.
          poll_interval_sec: seconds between looks at the source.
          max_policy_age_sec: seconds without a newer policy after which `swap` raises.
          clock: seconds, that of `PolicySnapshot.created_sec`.
        """
        self._source = source
        self._make_policy = make_policy
        self._max_policy_age_sec = max_policy_age_sec
        self._clock = clock
        self._live = self._next = _Entry(0, None)
        self._renewed_at = clock()
        self._longest_age_sec = 0.0
        self._num_refused = 0
        self._latencies: collections.deque[Latency] = collections.deque(maxlen=_NUM_LATENCIES)
        self.pull_sec = 0.0
        self.load_sec = 0.0
        self._failure: BaseException | None = None
        self._looks = repeater.Repeater(self._poll_or_fail, poll_interval_sec, "policy-slot")

    @property
    def policy(self) -> interfaces.Policy | None:
        """The live policy; None before the first swap that found one."""
        return self._live.policy

    @property
    def version(self) -> int:
        """Version of the live policy; 0 where there is none."""
        return self._live.version

    @property
    def policy_age_sec(self) -> float:
        """Seconds since a newer policy was last found, or since the slot was made."""
        return self._clock() - self._renewed_at

    @property
    def longest_age_sec(self) -> float:
        """The highest that `policy_age_sec` has been."""
        return max(self._longest_age_sec, self.policy_age_sec)

    @property
    def num_refused(self) -> int:
        """Artifacts that were published and could not be used; the policy before them stayed."""
        return self._num_refused

    @property
    def latencies(self) -> Sequence[Latency]:
        """Of the last policies that were swapped in, without the first one, which waited for the run to begin."""
        return self._latencies

    def poll_now(self) -> bool:
        """Looks at the source once and builds what it gives; whether a newer policy is ready to be swapped in."""
        start = self._clock()
        try:
            artifact = self._source.poll()
            if artifact is None:
                return False
            pulled = self._clock()
            policy = self._make_policy(artifact)
        except errors.ArtifactError as error:
            self._num_refused += 1
            logging.error("a published policy was refused, version %d stays: %s", self._next.version, error)
            return False
        self._longest_age_sec = self.longest_age_sec
        self._renewed_at = self._clock()
        self._next = _Entry(artifact.version, policy, artifact.created_sec, self._renewed_at)
        self.pull_sec += pulled - start
        self.load_sec += self._clock() - pulled
        return True

    def swap(self) -> bool:
        """Makes the next policy the live one; whether there was a next one.

        Raises:
          StalePolicyError: nothing newer came for `max_policy_age_sec`.
          Exception: what ended the thread that looks for policies.
        """
        if self._failure is not None:
            raise self._failure
        age_sec = self.policy_age_sec
        if age_sec > self._max_policy_age_sec:
            raise errors.StalePolicyError(
                f"no policy newer than version {self._next.version} came for {age_sec:.0f} s, the limit is "
                f"{self._max_policy_age_sec:.0f} s ({self._num_refused} were refused); look at the logs of learner and converter, or "
                "raise max_policy_age_sec where snapshots are meant to be that rare"
            )
        following = self._next
        if following is self._live:
            return False
        if self._live.policy is not None and following.created_sec is not None:
            since = following.created_sec
            self._latencies.append(Latency(following.ready_sec - since, self._clock() - since))
        self._live = following
        return True

    def __enter__(self) -> "PolicySlot":
        """Starts to look for policies in a thread."""
        self._looks.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        """Ends the thread."""
        self._looks.__exit__(*exception)

    def _poll_or_fail(self) -> None:
        try:
            self.poll_now()
        except BaseException as error:  # `swap` raises it in the loop's thread, where it ends the collector.
            self._failure = error
