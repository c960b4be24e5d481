"""A search space compiled to arrays of additive costs."""
