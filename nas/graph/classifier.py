"""Which operators classify: told by their place in a network, never by how many classes there are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nas.graph.operators import OperatorTable


def classifier_rows(table: OperatorTable) -> NDArray[np.bool_]:
    """The operators of a whole network, or of its head alone, that give the logits, shape (n,).

    It is the last operator with weights, where that is a linear layer on a vector behind which no map comes, or a 1x1
    convolution whose map is pooled to one (SqueezeNet). Two linear layers side by side whose results are added (a head
    that learned from a teacher beside the head proper) classify both. A network without a classifier has none.
    """
    found = np.zeros(len(table), dtype=np.bool_)
    learned = np.flatnonzero(table.weight_elements > 0)
    if not len(learned):
        return found
    last = int(learned[-1])
    behind = table.select(slice(last + 1, None))
    if table.kind[last] == "pw":
        found[last] = "gap" in behind.kind
    elif table.kind[last] == "lin":
        found[last] = bool(np.all(behind.out_height * behind.out_width <= 1))
    before = last - 1
    if found[last] and before in learned and table.kind[before] == "lin" and "add" in behind.kind:
        found[before] = all(
            getattr(table, size)[before] == getattr(table, size)[last] for size in ("in_channels", "out_channels")
        )
    return found
