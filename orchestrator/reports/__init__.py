"""Questions about money, answered from the ledger and nothing else."""
