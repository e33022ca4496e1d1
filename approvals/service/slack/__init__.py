"""Slack: what is said there, what is pressed there, and who presses."""
