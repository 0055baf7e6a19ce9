"""How likely a reply is acceptable: before any label, from a few, and from many."""
