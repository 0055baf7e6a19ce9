"""What plans with a budget cost and reach: simulated, and on recorded runs of agents."""
