"""What is kept of tasks: inputs, outputs, checkpoints, the journal; sealed, and forgotten."""
