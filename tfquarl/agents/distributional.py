"""The equations of agents that learn categorical value distributions: C51 (arXiv 1707.06887) and D4PG (arXiv 1804.08617).

Names tell the time: x_tm1 belongs to the state that was acted in, x_t to the state n steps later. B is the batch size, N the
number of atoms.
"""

import tensorflow as tf

_ROUNDING = 0.01  # of the distance of two atoms


def atoms(v_min: float, v_max: float, num_atoms: int) -> tf.Tensor:
    """The support z_i = v_min + i * (v_max - v_min) / (N - 1), float32 [N] (C51, section 4).

    Raises:
      ValueError: fewer than two atoms, or v_min >= v_max.
    """
    if num_atoms < 2 or not v_min < v_max:
        raise ValueError(f"needs num_atoms >= 2 and v_min < v_max, got {num_atoms} atoms on [{v_min}, {v_max}]")
    return tf.linspace(tf.constant(v_min, tf.float32), tf.constant(v_max, tf.float32), num_atoms)


def project(probabilities: tf.Tensor, r_t: tf.Tensor, discount_t: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
    """The distribution of r + discount * Z, put back on Z's own atoms: C51's projection (equation 7, algorithm 1).

    Each atom's mass goes to r + discount * z_j, clipped to [z_0, z_(N-1)], and from there to the two nearest atoms in proportion
    to nearness: m_i = sum_j p_j * max(0, 1 - |clip(r + discount * z_j) - z_i| / step).

    Args:
      probabilities: of Z, [B, N], each row summing to 1.
      r_t: reward summed over the n steps, [B].
      discount_t: discount of Z's value, [B], 0 where the episode terminated.
      z: evenly spaced atoms, [N].

    Returns:
      Probabilities [B, N], each row summing to 1; NaN in a row whose reward or discount is NaN.
    """
    _check_ranks(probabilities=(probabilities, 2), r_t=(r_t, 1), discount_t=(discount_t, 1), z=(z, 1))
    batch_size, last = tf.shape(probabilities)[0], tf.shape(z)[0] - 1
    step = (z[-1] - z[0]) / tf.cast(last, z.dtype)
    moved = tf.clip_by_value(r_t[:, None] + discount_t[:, None] * z[None, :], z[0], z[-1])
    place = (moved - z[0]) / step
    lower = tf.minimum(tf.cast(place, tf.int32), last)
    share = place - tf.cast(lower, z.dtype)
    # Each mass is added at its lower neighbour's place and, in a row shifted by one, at the upper one's. The last atom's upper
    # neighbour, which gets nothing, falls into the column that is cut off.
    places = lower + tf.range(batch_size)[:, None] * (last + 2)
    masses = tf.stack([probabilities * (1.0 - share), probabilities * share])
    size = batch_size * (last + 2)
    sums = tf.math.unsorted_segment_sum(masses, tf.stack([places, places + 1]), size)
    projected = tf.reshape(sums, [batch_size, last + 2])[:, : last + 1]
    # A place that is no number belongs to no atom: its mass would be gone, and the loss of the rest a number.
    return projected + 0.0 * tf.reduce_sum(place, axis=1, keepdims=True)


def clipped_share(probabilities: tf.Tensor, r_t: tf.Tensor, discount_t: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
    """How much of the batch's mass `project` has to clip, in [0, 1]: returns r + discount * z_j that lie outside of the atoms; a scalar.

    Args:
      probabilities: as of `project`.
      r_t: likewise.
      discount_t: likewise.
      z: likewise.
    """
    rounding = _ROUNDING * (z[1] - z[0])  # reward + discount * z_(N-1) is often z_(N-1) itself
    moved = r_t[:, None] + discount_t[:, None] * z[None, :]
    is_outside = tf.logical_or(moved < z[0] - rounding, moved > z[-1] + rounding)
    return tf.reduce_mean(tf.reduce_sum(tf.where(is_outside, probabilities, 0.0), axis=1))


def critic_loss(logits_tm1: tf.Tensor, target_probabilities: tf.Tensor) -> tf.Tensor:
    """Cross-entropy between target and critic, [B]: d in D4PG's equation 3, whose gradient is that of the KL divergence.

    Args:
      logits_tm1: of the critic's distribution, [B, N].
      target_probabilities: what `project` gave, [B, N]; no gradient goes into them.
    """
    _check_ranks(logits_tm1=(logits_tm1, 2), target_probabilities=(target_probabilities, 2))
    return tf.nn.softmax_cross_entropy_with_logits(tf.stop_gradient(target_probabilities), logits_tm1)


def divergence(cross_entropy: tf.Tensor, target_probabilities: tf.Tensor) -> tf.Tensor:
    """Kullback-Leibler divergence of the critic from its target, [B], 0 where they agree: the replay priority (arXiv 1710.02298).

    Args:
      cross_entropy: what `critic_loss` gave, [B].
      target_probabilities: [B, N].
    """
    _check_ranks(cross_entropy=(cross_entropy, 1), target_probabilities=(target_probabilities, 2))
    negative_entropy = tf.reduce_sum(tf.math.xlogy(target_probabilities, target_probabilities), axis=1)
    return tf.maximum(cross_entropy + negative_entropy, 0.0)


def expected_value(logits: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
    """Mean of the distribution, [B]: Q(x, a) = sum_i z_i p_i(x, a) (C51, section 4).

    Args:
      logits: [B, N].
      z: atoms, [N].
    """
    _check_ranks(logits=(logits, 2), z=(z, 1))
    return tf.linalg.matvec(tf.nn.softmax(logits), z)


def actor_loss(logits: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
    """What the policy makes small, [B]: -Q(x, pi(x)), whose gradient is D4PG's equation 4.

    Args:
      logits: of the critic at the policy's own actions, [B, N].
      z: atoms, [N].
    """
    return -expected_value(logits, z)


def _check_ranks(**tensors: tuple[tf.Tensor, int]) -> None:
    for name, (tensor, rank) in tensors.items():
        if tensor.shape.rank != rank:
            raise ValueError(f"{name} has shape {tensor.shape}, needs {rank} dimensions")
