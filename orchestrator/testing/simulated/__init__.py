"""What a simulation is made of."""
