"""Usage times price gives money, and upper bounds for calls not made yet. Pure."""
