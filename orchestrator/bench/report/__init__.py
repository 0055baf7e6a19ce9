"""Figures of benchmarks as tables, PNG and one HTML page that needs nothing else."""
