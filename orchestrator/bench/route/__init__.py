"""What routing between recorded models costs, and the quality it buys."""
