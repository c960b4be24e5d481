"""Accuracy of networks: the prior from published ImageNet results."""

from nas.accuracy.estimate import AccuracyDifferences, AccuracyEstimate, AccuracyFigures
from nas.accuracy.features import NETWORK_FEATURES, OPERATOR_FEATURES, network_features, operator_features
from nas.accuracy.model import AccuracyModel, load_accuracy
from nas.accuracy.prior import Prior
from nas.accuracy.prior_model import ConditionedModel, PriorModel
from nas.accuracy.recipe import DEFAULT_RECIPE, Recipe

__all__ = [
    "AccuracyDifferences",
    "AccuracyEstimate",
    "AccuracyFigures",
    "AccuracyModel",
    "ConditionedModel",
    "DEFAULT_RECIPE",
    "NETWORK_FEATURES",
    "OPERATOR_FEATURES",
    "Prior",
    "PriorModel",
    "Recipe",
    "load_accuracy",
    "network_features",
    "operator_features",
]
