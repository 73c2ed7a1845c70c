"""The names of a run's metrics: TF-Agents' own where it has one. Every station writes these and every reader looks for these.

| group | who writes it | what its `step` counts |
|---|---|---|
| 'train' | learner | train steps |
| 'eval' | evaluator | train steps of the policy that was judged |
| 'collect/<i>' | collector i | environment steps of that collector |
| 'convert' | converter | train steps of the snapshot that was converted |
| 'run' | launcher | environment steps of all collectors |
| 'system/<process>' | launcher | seconds since the run began |
| 'energy' | launcher | seconds since the run began |
"""

TRAIN = "train"
EVAL = "eval"
COLLECT = "collect"
CONVERT = "convert"
RUN = "run"
SYSTEM = "system"
ENERGY = "energy"

# Group 'collect/<i>': since the run began, by every process that was this collector.
ENVIRONMENT_STEPS = "Metrics/EnvironmentSteps"
NUMBER_OF_EPISODES = "Metrics/NumberOfEpisodes"
ENV_STEPS_PER_SEC = "RunTime/env_steps_per_sec"

# Group 'collect/<i>': episodes broken off at a NaN or an infinity. Group 'train': returns to a checkpoint because of one.
NUM_BAD_EPISODES = "Metrics/NumberOfBadEpisodes"
NUM_GONE_BACK = "Losses/num_gone_back"

# Groups 'collect/<i>' (with exploration) and 'eval' (without, and of the int8 policy).
AVERAGE_RETURN = "Metrics/AverageReturn"
AVERAGE_EPISODE_LENGTH = "Metrics/AverageEpisodeLength"

# Group 'eval': the float policy on the same seeds.
FLOAT32_AVERAGE_RETURN = "Metrics/Float32AverageReturn"

# Group 'train'.
LOSS = "Losses/loss"
CLIPPED_SHARE = (
    "Losses/clipped_target_share"  # of targets' probabilities, outside of v_min .. v_max; categorical agents alone
)
TRAIN_STEPS_PER_SEC = "RunTime/train_steps_per_sec"
SNAPSHOT_VERSION = "Policy/snapshot_version"

# Group 'train', where the replay is prioritised: new priorities so far that it has taken from this learner, and that were
# dropped because it did not take them in time or refused them.
NUM_UPDATED_PRIORITIES = "Replay/num_updated_priorities"
NUM_DROPPED_PRIORITIES = "Replay/num_dropped_priorities"

# Groups 'collect/<i>', 'eval' and 'convert': version of the policy (0: none yet), and seconds since a newer one was found.
POLICY_VERSION = "Policy/version"
POLICY_AGE_SEC = "Policy/age_sec"

# Group 'collect/<i>': the longest that its policy has been without a newer one so far.
POLICY_LONGEST_AGE_SEC = "Policy/longest_age_sec"

# Group 'collect/<i>': seconds so far in its loop without waiting for the rate limiter, for fetching and verifying newer
# policies, and for making what runs them. The last two happen beside the loop where a run's own collectors do them.
STEP_SEC = "RunTime/step_sec"
PULL_SEC = "RunTime/pull_sec"
LOAD_SEC = "RunTime/load_sec"

# Policies that were published and could not be used, in group 'collect/<i>', and such snapshots, in group 'convert'.
NUM_REFUSED = "Policy/num_refused"
NUM_REFUSED_SNAPSHOTS = "Policy/num_refused_snapshots"

# Groups 'collect/<i>' and 'train': share of the time, in [0, 1], for which the rate limiter made it wait. A learner of small networks has
# a tenth to a fifth without any limit, as the handing over of each batch counts too: only what is above that tells of missing data.
BLOCKED_SHARE = "RunTime/rate_limiter_blocked_share"

# Group 'convert'. The last one from the moment the learner read the weights, by the machine's monotonic clock.
CONVERSION_SEC = "RunTime/conversion_sec"
PARITY_CHECK_SEC = "RunTime/parity_check_sec"
SNAPSHOT_TO_PUBLISHED_SEC = "RunTime/snapshot_to_published_sec"

# Group 'convert': bytes of the model, observations that it was calibrated on, and whether collectors got it (1 or 0).
MODEL_BYTES = "Policy/model_bytes"
CALIBRATION_OBSERVATIONS = "Policy/calibration_observations"
IS_PUBLISHED = "Policy/is_published"

# Group 'convert': whether the policy passed (1 or 0), and how many so far did not; the figures of `quantization.parity` have
# names of their own behind the prefix.
PARITY_PREFIX = "Parity/"
IS_PARITY_PASSED = f"{PARITY_PREFIX}is_passed"
NUM_PARITY_FAILURES = f"{PARITY_PREFIX}num_failures"

# Group 'collect/<i>': from that same moment until the collector's interpreter was ready, which is made beside its loop, and until
# it acted; 95 % of its last 1000 policies, but for its first, were faster.
SNAPSHOT_TO_READY_P95_SEC = "RunTime/snapshot_to_ready_p95_sec"
SNAPSHOT_TO_USE_P95_SEC = "RunTime/snapshot_to_use_p95_sec"

# Group 'run': times that the run was gone on with, and with a process's name behind it, times that this process was started again.
NUM_RESUMES = "Run/num_resumes"
PAST_VERSION = "Run/past_version"  # newest policy from before the user raised a budget or a target
RESTARTS_PREFIX = "Restarts/"

# Group 'system/<process>', e.g. 'system/learner': memory (all pages; its share of common ones counted in; its own alone),
# file descriptors, threads, and processor time so far with that of processes that it has started and that have ended.
RESIDENT_BYTES = "Process/resident_bytes"
PROPORTIONAL_BYTES = "Process/proportional_bytes"
PRIVATE_BYTES = "Process/private_bytes"
OPEN_FILES = "Process/open_files"
THREADS = "Process/threads"
CPU_SEC = "Process/cpu_sec"

# Group 'energy': of the run so far, and with '_<role>' behind it of its collectors, its learner and so on.
ENERGY_JOULES = "Energy/joules"
CARBON_KG = "Energy/kg_co2e"

# Group 'energy', always with '_<role>' behind it: processor time so far.
ROLE_CPU_SEC = "Energy/cpu_sec"


def collect_group(collector: int) -> str:
    """The group of one collector: 'collect/0' for collector 0."""
    return f"{COLLECT}/{collector}"


def system_group(process: str) -> str:
    """The group of one process: 'system/collector_0' for collector 0."""
    return f"{SYSTEM}/{process}"
