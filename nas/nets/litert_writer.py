"""LiteRT files written straight from the graph of a network in inference form; nothing is traced.

They are for measuring, by the hundred: they hold the operators that `nas.nets.litert.export_litert` comes to, so that
both files take the same time, and are written in a moment. What a user gets is the latter's.
"""

from __future__ import annotations

from pathlib import Path

from nas.errors import UnknownOperatorError
from nas.files import write_bytes
from nas.nets.litert_call import Call
from nas.nets.litert_model import Model
from nas.nets.litert_operators import emit, transposed
from nas.nets.litert_plan import absorbed, channels_first, reads_first
from nas.nets.module import GraphModule
from nas.nets.onnx_writer import INPUT_NAME, OUTPUT_NAME


def write_litert(module: GraphModule, path: Path) -> Path:
    """Write the inference form of a network (in either form) to `path` as a LiteRT file in float32; returns the path.

    Its only signature takes "image" (1, C, H, W) and returns "logits"; its operators are builtin ones. Raises
    `InputError` where LiteRT is not installed, `UnknownOperatorError` for an operator without a LiteRT form and
    `NasError` where `path` cannot be written.
    """
    write_bytes(path, _content(module.fuse()))
    return path


def _content(module: GraphModule) -> bytes:
    """The file of a module in inference form."""
    graph = module.definition
    producers = absorbed(graph)
    absorbed_by: list[list[int]] = [[] for _ in graph.nodes]
    for position, producer in producers.items():
        absorbed_by[producer].append(position)
    first = channels_first(graph, producers)
    model = Model()
    values = {0: model.input((1, *graph.input_shape))}

    def operand(position: int, *, as_first: bool) -> int:
        moves = len(graph.nodes[position].shape) == 3 and first[position] != as_first
        return transposed(model, values[position], first=as_first) if moves else values[position]

    for position, node in enumerate(graph.nodes[1:], start=1):
        if position in producers:
            values[position] = values[producers[position]]
            continue
        call = Call(
            op=node.op,
            inputs=tuple(operand(i, as_first=reads_first(node.op, first[position])) for i in node.inputs),
            input_shapes=graph.input_shapes(node),
            shape=node.shape,
            layer=module.layer(position),
            first=first[position],
            absorbed=tuple((graph.nodes[i].op, module.layer(i)) for i in absorbed_by[position]),
        )
        value = emit(model, call)
        if value is None:
            raise UnknownOperatorError(f"every operator must have a LiteRT form, but {node.op.text()} has none.")
        values[position] = value
    output = operand(len(graph.nodes) - 1, as_first=True)
    return model.content(inputs={INPUT_NAME: values[0]}, outputs={OUTPUT_NAME: output})
