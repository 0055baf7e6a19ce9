"""Money held and booked for whatever costs some."""
