"""HTML for people: the session cookie only, never a bearer key."""
