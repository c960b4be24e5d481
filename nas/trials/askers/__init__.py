"""Who decides what is tried next, by name."""

from nas.trials.askers.named import ASKERS, asker_named, check_asker

__all__ = ["ASKERS", "asker_named", "check_asker"]
