"""A network at other input sizes than its own, with the same weights."""

from __future__ import annotations

from nas.errors import InputError
from nas.nets import GraphModule

STEP = 8
SMALLEST = 16


class Sizes:
    """The forms of `module` at other input sizes; each shares its layers, so it trains its weights."""

    def __init__(self, module: GraphModule) -> None:
        if module.architecture is None:
            raise ValueError("a network must have an architecture to be built at another size, but has none")
        self._module, self._architecture = module, module.architecture
        self._forms: dict[tuple[int, int], GraphModule] = {}

    def form(self, share: float) -> GraphModule:
        """The form whose sides are nearest to `share` of the module's own, of those that the network allows: multiples
        of 8 where every layer with weights is the same (paddings may differ with the size)."""
        height, width = self._module.definition.input_shape[1:]
        if share == 1:
            return self._module
        wanted = (height * share, width * share)
        tried = sorted({max(SMALLEST, STEP * (round(wanted[0] / STEP) + i)) for i in range(-4, 5)})
        for rows in sorted(tried, key=lambda size: abs(size - wanted[0])):
            columns = rows if height == width else STEP * round(rows * width / height / STEP)
            form = self._form((rows, columns))
            if form is not None:
                return form
        raise InputError(
            f"{self._architecture.name} must have the same layers at {share:g} of its size to be trained there, but has"
            " others; leave `sizes` out of the recipe."
        )

    def _form(self, size: tuple[int, int]) -> GraphModule | None:
        if size in self._forms:
            return self._forms[size]
        try:
            graph = self._architecture.at_resolution(size).graph()
        except InputError:
            return None
        own = self._module.definition
        layers = {i: layer for i in range(1, len(own.nodes)) if (layer := self._module.layer(i)) is not None}
        if len(graph.nodes) != len(own.nodes) or any(graph.nodes[i].op != own.nodes[i].op for i in layers):
            return None
        self._forms[size] = GraphModule(graph, layers)
        return self._forms[size]
