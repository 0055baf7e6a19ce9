"""The rules of the ledger, whatever the store, and the one writer that applies them."""
