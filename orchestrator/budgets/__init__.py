"""Which accounts an attempt touches, in which window, and what its end books."""
