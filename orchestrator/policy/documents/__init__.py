"""The shape of a policy file, one module for each of its parts."""
