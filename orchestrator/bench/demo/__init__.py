"""Questions this project wrote, and replies of simulated models to them."""
