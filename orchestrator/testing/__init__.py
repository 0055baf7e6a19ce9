"""What a user needs to test an agent without a provider."""
