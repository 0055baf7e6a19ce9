"""An OpenAI-compatible server that replays recorded answers, bills them, and fails on demand."""
