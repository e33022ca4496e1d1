"""Conditions of rules, behind a small port."""
