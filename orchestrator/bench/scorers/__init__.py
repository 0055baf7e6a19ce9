"""How right a reply is: one file per measure, each from 0 (wrong) to 1 (right)."""
