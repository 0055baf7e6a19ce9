"""Who is asked next, and what is noted to choose better."""
