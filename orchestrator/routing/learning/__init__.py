"""What is learned from cases whose outcomes are known."""
