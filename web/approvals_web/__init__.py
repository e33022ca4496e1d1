"""The approval service: JSON API, web queue and command line."""
