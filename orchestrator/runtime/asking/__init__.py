"""From an ask to a judged reply: attempts, checks, questions to people, the memo."""
