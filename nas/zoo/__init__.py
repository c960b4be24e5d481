"""Exported networks: files, card, index, reading back, verification."""

from nas.zoo.entry import Entry, entries, find_entry, zoo_folder
from nas.zoo.export import export_architecture
from nas.zoo.formats import FORMATS
from nas.zoo.load import ZooModel, load, verify
from nas.zoo.predict import check_accuracy, held_out_of_files, predict, training_of

__all__ = [
    "FORMATS",
    "Entry",
    "ZooModel",
    "check_accuracy",
    "entries",
    "export_architecture",
    "find_entry",
    "held_out_of_files",
    "load",
    "predict",
    "training_of",
    "verify",
    "zoo_folder",
]
