"""Inherited weights: a descendant's slices of its parent's weights, and checkpoints of others in our form."""

from nas.training.inherit.weights import Anew, Inheritance, inherit_weights

__all__ = ["Anew", "Inheritance", "inherit_weights"]
