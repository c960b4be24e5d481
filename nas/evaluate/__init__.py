"""What one network or a million codes are worth, by latency and accuracy models."""
