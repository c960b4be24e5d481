"""Who decides what is tried next, by name."""

from nas.trials.askers.named import ASKERS, asker_named

__all__ = ["ASKERS", "asker_named"]
