"""A user's data set: reading, checking, splitting, decoding once."""

from nas.data.dataset import DataSet, open_data
from nas.data.prepare import contents_digest, prepare
from nas.data.prepared import Prepared, Split

__all__ = ["DataSet", "Prepared", "Split", "contents_digest", "open_data", "prepare"]
