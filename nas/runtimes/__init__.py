"""What a runtime adds to a network: copies into its layouts, parts that it moves elsewhere."""
