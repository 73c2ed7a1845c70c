"""The collector station: environment, quantized policy, exploration and writer, one step after another, without TensorFlow."""
