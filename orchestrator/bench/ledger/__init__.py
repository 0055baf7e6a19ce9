"""What the ledger costs, beside the least that could do its work."""
