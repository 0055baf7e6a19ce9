"""What turns a reply into evidence: one file per check."""
