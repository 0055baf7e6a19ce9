"""What stops one task: time, model calls, tool calls, tokens, steps, repeats."""
