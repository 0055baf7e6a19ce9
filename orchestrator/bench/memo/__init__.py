"""What the memo costs, what it keeps, and what it would have saved."""
