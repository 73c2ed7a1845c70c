"""Running mean and spread of observations, written into the policy's observation scaling."""

from collections.abc import Mapping

import tensorflow as tf

# Below this spread a feature counts as constant and isn't blown up any further.
MIN_SPREAD = 1e-2


class ObservationStatistics(tf.Module):
    """Mean and variance of each feature over all batches so far, merged batch by batch (Chan et al. 1983, eq. 2.1).

    In float64: of many batches one moves the mean by less than float32 can tell, where features are far from zero.
    """

    def __init__(self, observation_size: int) -> None:
        """Makes the variables: no observation seen, mean 0, variance 1."""
        super().__init__(name="observation_statistics")
        self.count = tf.Variable(tf.zeros([], tf.float64), trainable=False, name="count")
        self.mean = tf.Variable(tf.zeros([observation_size], tf.float64), trainable=False, name="mean")
        self.variance = tf.Variable(tf.ones([observation_size], tf.float64), trainable=False, name="variance")

    def update(self, observations: tf.Tensor) -> None:
        """Takes in observations [B, D]."""
        batch_count = tf.cast(tf.shape(observations)[0], tf.float64)
        total = self.count + batch_count
        share = batch_count / total
        batch_mean, batch_variance = tf.nn.moments(tf.cast(observations, tf.float64), axes=[0])
        shift = batch_mean - self.mean
        variance = (1 - share) * self.variance + share * batch_variance + share * (1 - share) * tf.square(shift)
        self.mean.assign_add(shift * share)
        self.variance.assign(variance)
        self.count.assign(total)

    def write_to(self, policy_variables: Mapping[str, tf.Variable]) -> None:
        """Makes the policy subtract the mean and divide by the spread."""
        policy_variables["observation_scaling/offset"].assign(tf.cast(self.mean, tf.float32))
        spread = tf.maximum(tf.sqrt(self.variance), MIN_SPREAD)
        policy_variables["observation_scaling/scale"].assign(tf.cast(1.0 / spread, tf.float32))
