"""What can be read off a prompt or a reply for nothing: numbers that carry evidence."""
