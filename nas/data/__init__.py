"""A user's data set: reading, checking, splitting, decoding once."""

from nas.data.dataset import DataSet, open_data
from nas.data.prepare import prepare
from nas.data.prepared import Prepared, Split

__all__ = ["DataSet", "Prepared", "Split", "open_data", "prepare"]
