"""Removes from a network what no runtime does at inference, and joins what is one operator written as several."""

from __future__ import annotations

from collections.abc import Callable

from nas.onnx.activations import recognise_activations
from nas.onnx.network import OnnxNetwork, OnnxNode

SHUFFLE, NORM = "Shuffle", "Norm"
"""Kinds of the nodes that stand for a channel shuffle (attribute `groups`) and a written-out layer norm."""

NORMS = ("LayerNormalization", "InstanceNormalization", "GroupNormalization", "LpNormalization", "RMSNormalization",
         "SimplifiedLayerNormalization", "LRN", "MeanVarianceNormalization", "BatchNormalization", NORM)  # fmt: skip
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

    def _constant_size(self, node: OnnxNode) -> int:
        """The number of elements of the constant operand of a node of two operands; 0 where there is none."""
        constants = [name for name in node.inputs if name in self._network.constants]
        if len(node.inputs) != 2 or len(constants) != 1:
            return 0
        size = 1
        for length in self._network.shapes.get(constants[0], ()):
            size *= length
        return size

    def _channel_constant(self, node: OnnxNode | None, kinds: tuple[str, ...]) -> bool:
        """Whether `node` is one of `kinds` with a constant of one number a channel."""
        if node is None or node.kind not in kinds:
            return False
        shape = self._network.shapes.get(node.outputs[0], ())
        return self._constant_size(node) > 1 and self._constant_size(node) in (shape[1:2] + shape[-1:])

    def absorb_into_product(self, node: OnnxNode) -> bool:
        """Batch norms (also written as product and sum) and biases behind a convolution or linear layer, and factors
        behind a convolution."""
        if node.kind not in _PRODUCTS or (node.kind == "MatMul" and not self._has_weights(node)):
            return False
        reader = self._reader(node)
        if reader is None:
            return False
        if reader.kind == "BatchNormalization" or self._channel_constant(reader, ("Add", "Sub")):
            self._swallow(node, reader)
            node.attributes["bias"] = 1
            return True
        if self._channel_constant(reader, ("Mul", "Div")):
            after = self._reader(reader)
            if node.kind == "Conv" and (after is None or not self._channel_constant(after, ("Add", "Sub"))):
                self._swallow(node, reader)
                return True
            if after is not None and self._channel_constant(after, ("Add", "Sub")):
                self._swallow(node, reader)
                self._swallow(node, after)
                node.attributes["bias"] = 1
                return True
        return False

    def _has_weights(self, node: OnnxNode) -> bool:
        return any(name in self._network.constants for name in node.inputs)

    def absorb_into_norm(self, node: OnnxNode) -> bool:
        """The scale and the shift that some exporters write behind a normalisation."""
        if node.kind not in NORMS:
            return False
        reader = self._reader(node)
        if reader is not None and self._channel_constant(reader, ("Mul", "Add")):
            self._swallow(node, reader)
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
        self._gone.add(id(source))
        return True

    def join_layer_norm(self, node: OnnxNode) -> bool:
        """(x - mean) / sqrt(mean((x - mean)²) + ε) written out, along any axis."""
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
        for inner in (*chain, mean):
            if inner is not None:
                self._gone.add(id(inner))
        node.kind, node.inputs, node.attributes = NORM, [centred.inputs[0]], {}
        return True

    def join_reshaped_norm(self, node: OnnxNode) -> bool:
        """Reshape, normalise, reshape back: a group norm."""
        before, after = self._source(node), self._reader(node)
        if node.kind not in NORMS or before is None or after is None:
            return False
        if before.kind not in _RESHAPES or after.kind not in _RESHAPES:
            return False
        shapes = self._network.shapes
        if shapes[before.inputs[0]] != shapes[after.outputs[0]]:
            return False
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
