"""Removes from a network what no runtime does at inference, and joins what is one operator written as several."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nas.onnx.activations import recognise_activations
from nas.onnx.network import FACTORS, SHIFTS, OnnxNetwork, OnnxNode

SHUFFLE, NORM = "Shuffle", "Norm"
"""Kinds of the nodes that stand for a channel shuffle (attribute `groups`) and a written-out normalisation (attributes
`function` and `axis`, that of the channels)."""

NORMS = ("LayerNormalization", "InstanceNormalization", "GroupNormalization", "LpNormalization", "RMSNormalization",
         "SimplifiedLayerNormalization", "LRN", "MeanVarianceNormalization", "BatchNormalization", NORM)  # fmt: skip
_CHANNELS_LAST = ("Gemm", "MatMul", "LayerNormalization", "LpNormalization", "RMSNormalization",
                  "SimplifiedLayerNormalization")  # fmt: skip
_IDENTITIES = ("Identity", "Dropout", "Cast", "CastLike")
_PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_MOST_PASSES = 32
"""Far more than networks need; a file may have thousands of biases behind one another, each found by a pass."""
_RESHAPES = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")


def simplify(network: OnnxNetwork) -> None:
    """Bring `network` to the operators of its inference form, in place."""
    _Folding(network).drop_identities()
    recognise_activations(network)
    folding = _Folding(network)
    for step in (
        folding.join_layer_norm, folding.join_reshaped_norm, folding.absorb_into_product, folding.absorb_into_norm,
        folding.absorb_norm_before_linear, folding.join_shuffle, folding.drop_outer_transpose,
    ):  # fmt: skip
        folding.apply(step)


class _Folding:
    """One network with its producers and readers; every step looks at one node and may change it and its neighbours."""

    def __init__(self, network: OnnxNetwork) -> None:
        self._network = network
        self._gone: set[int] = set()
        self._index()

    def _index(self) -> None:
        network = self._network
        network.nodes = [node for node in network.nodes if id(node) not in self._gone]
        self._gone.clear()
        self._producer = {name: node for node in network.nodes for name in node.outputs}
        self._readers: dict[str, list[OnnxNode | None]] = {name: [None] for name in network.outputs}
        for node in network.nodes:
            for name in node.inputs:
                self._readers.setdefault(name, []).append(node)

    def apply(self, step: Callable[[OnnxNode], bool]) -> None:
        """Run `step` on every node until it changes nothing more, `_MOST_PASSES` times at most; it says whether it
        did."""
        for _ in range(_MOST_PASSES):
            if not any([id(node) not in self._gone and step(node) for node in list(self._network.nodes)]):  # noqa: C419
                return
            self._index()

    def drop_identities(self) -> None:
        """Let the readers of an identity read its operand."""
        network = self._network
        same: dict[str, str] = {}
        for node in network.nodes:
            node.inputs = [same.get(name, name) for name in node.inputs]
            if node.kind in _IDENTITIES and node.outputs[0] not in network.outputs:
                same[node.outputs[0]] = node.inputs[0]
                self._gone.add(id(node))
        self._index()

    def _reader(self, node: OnnxNode) -> OnnxNode | None:
        """The only reader of a node's only value, or None."""
        readers = self._readers.get(node.outputs[0], [])
        one = len(readers) == 1 and len([name for name in node.outputs if name]) == 1
        return readers[0] if one else None

    def _source(self, node: OnnxNode) -> OnnxNode | None:
        """The producer of a node's first operand, where the node is its only reader."""
        producer = self._producer.get(node.inputs[0]) if node.inputs else None
        return producer if producer is not None and self._reader(producer) is node else None

    def _swallow(self, node: OnnxNode, eaten: OnnxNode) -> None:
        """Let `node` produce what `eaten`, its only reader, did."""
        node.outputs = [eaten.outputs[0]]
        self._producer[eaten.outputs[0]] = node
        self._gone.add(id(eaten))

    def _constants(self, node: OnnxNode) -> tuple[str, ...]:
        return tuple(name for name in node.inputs if name in self._network.constants)

    def _take_in(self, node: OnnxNode, eaten: OnnxNode) -> None:
        """Let `node` produce what `eaten`, its only reader, makes of its result with constants of one number a
        channel."""
        constants = self._constants(eaten)
        if eaten.kind == "BatchNormalization":  # scale, shift, mean, variance
            kept = {FACTORS: (eaten.inputs[1], eaten.inputs[4]), SHIFTS: tuple(eaten.inputs[2:4])}
        else:
            kept = {SHIFTS if eaten.kind in ("Add", "Sub") else FACTORS: constants}
        for key, names in kept.items():
            node.attributes[key] = (*node.attributes.get(key, ()), *names)
        self._swallow(node, eaten)

    def _channel_constant(self, reader: OnnxNode | None, kinds: tuple[str, ...], node: OnnxNode) -> bool:
        """Whether `reader` is one of `kinds` and changes the result of `node` by a constant of one number a channel."""
        if reader is None or reader.kind not in kinds or len(reader.inputs) != 2:
            return False
        shapes, constants = self._network.shapes, self._constants(reader)
        # A constant less a value, or divided by it, is no sum with it and no product.
        if len(constants) != 1 or (reader.kind in ("Sub", "Div") and constants[0] != reader.inputs[1]):
            return False
        shape, own = shapes.get(reader.outputs[0], ()), shapes.get(constants[0], ())
        first = len(shape) - len(own)
        if reader.attributes.get("broadcast"):  # of operators before opset 7
            first = int(reader.attributes.get("axis", first))
        wide = {first + i: length for i, length in enumerate(own) if length != 1}
        axis = self._channels(node, len(shape))
        return len(wide) == 1 and axis < len(shape) and wide.get(axis) == shape[axis]

    def _channels(self, node: OnnxNode, rank: int) -> int:
        """The axis of the result, of `rank` axes, of a product or a normalisation that has its channels."""
        if node.kind == NORM:
            return int(node.attributes["axis"])
        if node.kind == "MatMul" and node.inputs[0] in self._network.constants:
            return rank - 2
        is_last = node.kind in _CHANNELS_LAST or bool(node.attributes.get("channels_last"))
        return rank - 1 if is_last else 1

    def absorb_into_product(self, node: OnnxNode) -> bool:
        """Batch norms (also written as product and sum) and biases behind a convolution or linear layer, and factors
        behind a convolution."""
        if node.kind not in _PRODUCTS or (node.kind == "MatMul" and not self._has_weights(node)):
            return False
        reader = self._reader(node)
        if reader is None:
            return False
        if reader.kind == "BatchNormalization" or self._channel_constant(reader, ("Add", "Sub"), node):
            self._take_in(node, reader)
            node.attributes["bias"] = 1
            return True
        if self._channel_constant(reader, ("Mul", "Div"), node):
            after = self._reader(reader)
            if after is not None and self._channel_constant(after, ("Add", "Sub"), node):
                self._take_in(node, reader)
                self._take_in(node, after)
                node.attributes["bias"] = 1
                return True
            if node.kind == "Conv":
                self._take_in(node, reader)
                return True
        return False

    def _has_weights(self, node: OnnxNode) -> bool:
        return any(name in self._network.constants for name in node.inputs)

    def absorb_into_norm(self, node: OnnxNode) -> bool:
        """The scale and the shift that some exporters write behind a normalisation."""
        if node.kind not in NORMS:
            return False
        reader = self._reader(node)
        if reader is not None and self._channel_constant(reader, ("Mul", "Add"), node):
            self._take_in(node, reader)
            return True
        return False

    def absorb_norm_before_linear(self, node: OnnxNode) -> bool:
        """A batch norm before a linear layer becomes part of its weights."""
        if node.kind not in ("Gemm", "MatMul") or not self._has_weights(node):
            return False
        reader, source = node, self._source(node)
        while source is not None and source.kind in (*_RESHAPES, "Transpose", "GlobalAveragePool", "ReduceMean"):
            reader, source = source, self._source(source)
        if source is None or source.kind != "BatchNormalization":
            return False
        reader.inputs[0] = source.inputs[0]
        node.attributes[FACTORS] = (*node.attributes.get(FACTORS, ()), source.inputs[1], source.inputs[4])
        self._gone.add(id(source))
        return True

    def join_layer_norm(self, node: OnnxNode) -> bool:
        """(x - mean) / sqrt(mean((x - mean)²) + ε) written out, of which nothing else reads a part."""
        if node.kind not in ("Div", "Mul") or len(node.inputs) != 2:
            return False
        centred = self._producer.get(node.inputs[0])
        if centred is None or centred.kind != "Sub":
            return False
        chain = [self._producer.get(node.inputs[1])]
        for _ in range(6):
            if chain[-1] is None or chain[-1] is centred or not chain[-1].inputs:
                break
            chain.append(self._producer.get(chain[-1].inputs[0]))
        kinds = [inner.kind for inner in chain if inner is not None and inner is not centred]
        mean = self._producer.get(centred.inputs[1])
        if centred not in chain or "ReduceMean" not in kinds or mean is None or mean.kind != "ReduceMean":
            return False
        parts = [*(inner for inner in chain if inner is not None), mean]
        axes = {self._axes(inner) for inner in parts if inner.kind == "ReduceMean"}
        form = self._norm_over(next(iter(axes)), centred.inputs[0]) if len(axes) == 1 else None
        if form is None or mean.inputs[0] != centred.inputs[0] or not self._are_only_for(node, parts):
            return False
        self._gone.update(map(id, parts))
        node.kind, node.inputs, node.attributes = NORM, [centred.inputs[0]], form
        return True

    def _axes(self, node: OnnxNode) -> tuple[int, ...] | None:
        """The axes that a ReduceMean is over, in order; None where they are not known."""
        rank = len(self._network.shapes.get(node.inputs[0], ()))
        given = node.attributes.get("axes", range(rank))
        if len(node.inputs) > 1 and node.inputs[1]:
            given = self._network.constants.get(node.inputs[1])
        return None if given is None or not rank else tuple(sorted(int(axis) % rank for axis in np.ravel(given)))

    def _norm_over(self, axes: tuple[int, ...] | None, x: str) -> dict[str, Any] | None:
        """The normalisation of `x` over `axes`, and the axis of its channels: over one axis a layer norm, over all but
        the batch, or but batch and channels, a group norm. None for any other."""
        rank = len(self._network.shapes.get(x, ()))
        if axes in ((rank - 1,), (1,)):
            return {"function": "layer", "axis": axes[0]}
        if rank > 2 and axes in (tuple(range(1, rank)), tuple(range(2, rank))):
            return {"function": "group", "axis": 1}
        return None

    def _are_only_for(self, node: OnnxNode, parts: list[OnnxNode]) -> bool:
        """Whether nothing but `node` and they themselves reads what `parts` compute."""
        inside = {id(node), *map(id, parts)}
        readers = (r for part in parts for name in part.outputs for r in self._readers.get(name, []))
        return all(reader is not None and id(reader) in inside for reader in readers)

    def join_reshaped_norm(self, node: OnnxNode) -> bool:
        """Reshape, normalise, reshape back: a group norm."""
        before, after = self._source(node), self._reader(node)
        if node.kind not in NORMS or before is None or after is None:
            return False
        if before.kind not in _RESHAPES or after.kind not in _RESHAPES:
            return False
        shapes = self._network.shapes
        whole, part = shapes[before.inputs[0]], shapes[before.outputs[0]]
        if whole != shapes[after.outputs[0]]:
            return False
        if node.kind == NORM and node.attributes["function"] == "layer":
            if node.attributes["axis"] == len(part) - 1 and whole[-1:] == part[-1:]:
                node.attributes["axis"] = len(whole) - 1
            elif node.attributes["axis"] != 1 or whole[:2] != part[:2]:
                node.attributes.update(function="group", axis=1)
        node.inputs[0] = before.inputs[0]
        self._gone.add(id(before))
        self._swallow(node, after)
        return True

    def join_shuffle(self, node: OnnxNode) -> bool:
        """(C, H, W) as (g, C/g, H, W), the first two axes exchanged, and back: a channel shuffle."""
        before, after = self._source(node), self._reader(node)
        if node.kind != "Transpose" or list(node.attributes.get("perm", ())) != [0, 2, 1, 3, 4]:
            return False
        if before is None or after is None or before.kind not in _RESHAPES or after.kind not in _RESHAPES:
            return False
        shapes = self._network.shapes
        if shapes[before.inputs[0]] != shapes[after.outputs[0]] or len(shapes[before.inputs[0]]) != 4:
            return False
        node.kind, node.attributes = SHUFFLE, {"groups": shapes[before.outputs[0]][1]}
        node.inputs = [before.inputs[0]]
        self._gone.add(id(before))
        self._swallow(node, after)
        return True

    def drop_outer_transpose(self, node: OnnxNode) -> bool:
        """A change of layout of the image or of the result is the caller's: a converter takes it into the interface."""
        network = self._network
        if node.kind != "Transpose" or len(network.shapes[node.inputs[0]]) != 4:
            return False
        if node.inputs[0] in network.inputs or node.outputs[0] in network.outputs:
            node.kind, node.attributes = "Reshape", {}
            return True
        return False
