"""Quiz questions as data, attempts at them, and a score: no user interface in here."""
