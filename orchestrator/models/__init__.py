"""Asking a model: one protocol, the LiteLLM client, retries, and a scripted model for tests."""
