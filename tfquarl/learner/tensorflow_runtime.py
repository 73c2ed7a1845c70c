"""How TensorFlow uses the processor in the learner's process."""

import tensorflow as tf

from tfquarl.learner import learner_config


def configure(config: learner_config.LearnerConfig) -> None:
    """Sets TensorFlow's thread pools; call it before anything else touches TensorFlow in this process.

    Raises:
      RuntimeError: TensorFlow has already started its threads.
    """
    tf.config.threading.set_intra_op_parallelism_threads(config.intra_op_threads)
    tf.config.threading.set_inter_op_parallelism_threads(config.inter_op_threads)
