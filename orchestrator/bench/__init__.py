"""What a policy costs and what quality it buys."""
