"""A stand-in for Slack: a real HTTP server that keeps Slack's rules, for the demo and for the tests."""
