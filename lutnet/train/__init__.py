"""Training: data, configuration, loop, metrics."""
