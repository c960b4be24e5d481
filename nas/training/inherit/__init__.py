"""Inherited weights: a descendant's slices of its parent's weights, and checkpoints of others in our form."""

from nas.training.inherit.account import Anew, Inheritance
from nas.training.inherit.faithful import looked_at
from nas.training.inherit.weights import inherit_weights

__all__ = ["Anew", "Inheritance", "inherit_weights", "looked_at"]
