"""What a policy file may hold."""
