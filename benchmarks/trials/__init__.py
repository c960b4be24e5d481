"""Searches that pay for each accuracy, on tables where every accuracy is known."""
