"""What a network does, from the graph that `torch.export` makes of it: the boxes of its picture.

The graph has every tensor operation that the outputs depend on, and the module that each belongs to; `boxes_of` merges
what belongs together: a convolution with its normalisation and activation, the arithmetic between the heads and an
output. No layer of ours is named here: one that has no words below gets the name of its class.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import nn
from torch.export import ExportedProgram
from torch.fx import Node

from sumnist.model.fusion import ExactFusion, LearnedFusion
from sumnist.model.network import TwoInputNet

__all__ = ["Box", "boxes_of"]

Part = Literal["encoder", "fusion", "outputs"]


def exported(net: TwoInputNet) -> ExportedProgram:
    """The graph of `net` in evaluation mode, without contexts such as autocast around parts of it."""
    device, training = next(net.parameters()).device, net.training
    example = torch.zeros(2, 1, 28, 28, device=device), torch.zeros(2, dtype=torch.int64, device=device)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning, module="copyreg")  # of torch, to torch
            program: ExportedProgram = torch.export.export(net.eval(), example, strict=False).run_decompositions({})
            return program
    finally:
        net.train(training)


def part_of(node: Node) -> Part:
    """The part of the network that an operation belongs to."""
    paths = [path for path, _ in node.meta["nn_module_stack"].values()]
    return "encoder" if "encoder" in paths else "fusion" if "fusion" in paths else "outputs"


def layer_of(net: TwoInputNet, node: Node, own: Iterable[str]) -> tuple[str | None, nn.Module | None]:
    """The module of `torch.nn` that an operation belongs to, or whose parameters `own` it takes, and a name for this
    call of it; None for an operation outside of any."""
    calls = [(call, path) for call, (path, _) in node.meta["nn_module_stack"].items()]
    owners = [(node.name, name.rpartition(".")[0]) for name in own]  # where autocast changes, the calls are not kept
    for call, path in calls + owners:
        module = net.get_submodule(path)
        if type(module).__module__.startswith("torch.nn.") and not isinstance(module, nn.Sequential):
            return call, module
    return None, None


@dataclass
class Box:
    """One box of the picture. `inputs` are indices of other boxes; `shape` goes without the batch."""

    title: str
    part: Part
    shape: tuple[int, ...]
    details: list[str] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    parameters: int = 0
    computed: bool = False
    needs_number: bool = False
    makes_sum: bool = False
    modules: list[nn.Module] = field(default_factory=list)


QUIET = {
    "view", "reshape", "_unsafe_view", "unsqueeze", "squeeze", "select", "slice", "getitem", "_to_copy", "clone",
    "detach", "alias",
}  # fmt: skip
"""Operations that change a tensor's form and not what it says: they go unmentioned."""

FOLLOWERS = {
    "relu": "ReLU", "gelu": "GELU", "silu": "SiLU", "sigmoid": "sigmoid", "tanh": "tanh", "leaky_relu": "LeakyReLU",
    "softmax": "softmax", "log_softmax": "log-softmax", "layer_norm": "norm",
    "_native_batch_norm_legit_no_training": "norm",
}  # fmt: skip
"""Operations drawn as a word in the box that they follow."""

TITLES = {
    "cat": "Join", "add": "Add", "one_hot": "One-hot", "mean": "Mean", "matmul": "Product", "mul": "Multiply",
    "div": "Divide", "max_pool2d": "Max-pool", "avg_pool2d": "Mean-pool",
}  # fmt: skip


def boxes_of(net: TwoInputNet) -> tuple[list[Box], dict[str, int]]:
    """The boxes of the picture, each after its inputs, image and number first; and which of them give the outputs."""
    builder = Builder(net, exported(net))
    for node in builder.layers:
        builder.take(node)
    return builder.boxes, {name: builder.place[end] for name, end in builder.ends.items()}


class Builder:
    """Turns the operations of a network into boxes, one at a time."""

    def __init__(self, net: TwoInputNet, program: ExportedProgram) -> None:
        self.net, self.parameters = net, program.graph_signature.inputs_to_parameters
        self.heads = {child: name for name, child in net.fusion.named_children() if name in ("digit", "sum")}
        self.boxes = [Box("image", "encoder", (1, 28, 28)), Box("number", "fusion", (), needs_number=True)]
        inputs = (node for node in program.graph.nodes if node.name in program.graph_signature.user_inputs)
        self.place = {node: i for i, node in enumerate(inputs)}  # operation → box
        self.calls: dict[str, int] = {}  # call of a module of torch.nn → box
        self.collapsed: dict[str, int] = {}  # output → the box of what is computed for it
        self.counted: set[str] = set()
        self.loose: dict[Node, dict[str, int]] = {}  # parameters of operations that no input enters
        operations = [
            node for node in program.graph.nodes if node.op == "call_function" and node.meta.get("val") is not None
        ]
        self.layers = {node: layer_of(net, node, self.own(node)) for node in operations}
        self.ends = dict(zip(("digit", "sum"), program.graph.output_node().args[0], strict=True))
        self.digit, self.sum = (upstream(end) for end in self.ends.values())

    def own(self, node: Node) -> dict[str, int]:
        """The parameters that an operation takes: name → size."""
        taken = [source for source in node.all_input_nodes if source.name in self.parameters]
        return {self.parameters[source.name]: source.meta["val"].numel() for source in taken}

    def take(self, node: Node) -> None:
        """Put an operation into a box of its own or one that is there."""
        parameters = self.own(node)
        for source in node.all_input_nodes:
            parameters |= self.loose.get(source, {})
        inputs = [source for source in node.all_input_nodes if source in self.place]
        sources = list(dict.fromkeys(self.place[source] for source in inputs))
        if not sources:
            self.loose[node] = parameters
            return
        (call, module), part, word = self.layers[node], part_of(node), None
        if call in self.calls:
            self.place[node] = self.calls[call]
            self.boxes[self.calls[call]].shape = shape_of(node)
        elif len(sources) == 1 and self.follows(inputs[-1], word := follower(node, module, part)):
            self.place[node] = sources[0]
            merge(self.boxes[sources[0]], node, module, word)
        elif part == "outputs":
            self.place[node] = self.collapse("digit" if node in self.digit else "sum", shape_of(node))
        else:
            self.place[node] = self.open(node, module, part)
        if call and word != "":
            self.calls[call] = self.place[node]
        box = self.boxes[self.place[node]]
        box.inputs += [j for j in sources if j != self.place[node] and j not in box.inputs]
        box.parameters += sum(size for name, size in parameters.items() if name not in self.counted)
        box.needs_number = box.needs_number or any(self.boxes[j].needs_number for j in sources)
        box.makes_sum = box.makes_sum or node in self.sum
        self.counted.update(parameters)

    def follows(self, source: Node, word: str | None) -> bool:
        """Whether an operation with this `word` is drawn in the box of its `source`, which no other needs."""
        users = {self.layers[user][0] or user.name for user in source.users if user in self.layers}
        return word == "" or (word is not None and self.place[source] > 1 and len(users) == 1)

    def collapse(self, output: str, shape: tuple[int, ...]) -> int:
        """The one box for all that is computed between the heads and `output`, with `shape` as the latest of it."""
        if output not in self.collapsed:
            self.collapsed[output] = len(self.boxes)
            self.boxes.append(computed_box(self.net, output))
        self.boxes[self.collapsed[output]].shape = shape
        return self.collapsed[output]

    def open(self, node: Node, module: nn.Module | None, part: Part) -> int:
        """A new box for an operation."""
        title, details = words(node, module)
        if module in self.heads:
            title, details = f"{self.heads[module].capitalize()} head", [title, *details]
        self.boxes.append(Box(title, part, shape_of(node), details, modules=[module] if module else []))
        return len(self.boxes) - 1


def upstream(end: Node) -> set[Node]:
    """The operations that `end` depends on, itself included."""
    needed, waiting = {end}, [end]
    while waiting:
        new = set(waiting.pop().all_input_nodes) - needed
        needed |= new
        waiting += new
    return needed


def op_of(node: Node) -> str:
    """The name of an ATen operation."""
    return str(node.target.__name__).split(".")[0]  # type: ignore[union-attr]


def shape_of(node: Node) -> tuple[int, ...]:
    """The shape of the result, or of the first one, without the batch."""
    value = node.meta["val"]
    return tuple((value[0] if isinstance(value, (tuple, list)) else value).shape[1:])


def follower(node: Node, module: nn.Module | None, part: Part) -> str | None:
    """The word for an operation in the box that it follows, empty where it needs none; None if it has its own box."""
    op, kind = op_of(node), type(module).__name__
    if op in QUIET or (part == "outputs" and op == "div"):  # the temperature
        return ""
    if module is None:
        return FOLLOWERS.get(op)
    if "Norm" in kind:
        return "norm"
    is_activation = type(module).__module__ == "torch.nn.modules.activation" and not list(module.parameters())
    return kind if is_activation or kind == "PReLU" else None


def merge(box: Box, node: Node, module: nn.Module | None, word: str | None) -> None:
    """Let `box` swallow an operation."""
    if word and not box.computed:
        box.details.append(word)
    if module and word:
        box.modules.append(module)
    shape = shape_of(node)
    ones_dropped = [n for n in shape if n > 1] == [n for n in box.shape if n > 1]
    if box.title != "number" and (word or ones_dropped):  # the shape before a flattening says more than the one after
        box.shape = shape


def words(node: Node, module: nn.Module | None) -> tuple[str, list[str]]:
    """Title and details for the box of an operation, or of the module that it begins."""
    op, kind = op_of(node), type(module).__name__
    if isinstance(module, (nn.Conv1d, nn.Conv2d)):
        details = [f"stride {times(module.stride)}"] if set(module.stride) != {1} else []
        depthwise = module.groups == module.in_channels > 1
        details += ["depthwise"] if depthwise else [f"{module.groups} groups"] if module.groups > 1 else []
        return f"Conv {times(module.kernel_size, always=True)}", details
    if isinstance(module, nn.Linear):
        return f"Linear {module.out_features}", []
    if module is not None and "Pool" in kind:
        pooling = "max" if "Max" in kind else "mean"
        if kind.startswith("Adaptive"):
            return (
                (f"Global {pooling}", [])
                if math.prod(shape_of(node)[1:]) == 1
                else (f"{pooling.capitalize()}-pool", [])
            )
        return f"{pooling.capitalize()}-pool", [times(module.kernel_size, always=True)]
    if module is not None:
        return kind, []
    operators, numbers = {"div": "÷", "mul": "×"}, [value for value in node.args if isinstance(value, (int, float))]
    if op in operators and numbers:
        return f"{operators[op]} {numbers[0]:g}", []
    return TITLES.get(op, op.strip("_")), []


def times(size: object, always: bool = False) -> str:
    """`3×3`, or `2` for a size that is the same both ways."""
    pair = [str(n) for n in size] if isinstance(size, tuple) else [str(size)] * 2
    return "×".join(pair) if always or len(set(pair)) > 1 else pair[0]


def computed_box(net: TwoInputNet, output: str) -> Box:
    """The one box for everything between the heads and `output` that nothing is learned in."""
    if isinstance(net.fusion, ExactFusion) and output == "sum":
        return Box("Shift by the number", "outputs", (), ["P(sum = s) =", "P(digit = s − number)"], computed=True)
    if isinstance(net.fusion, LearnedFusion) and net.fusion.sum_target == "bits" and output == "sum":
        return Box("Bits → sum", "outputs", (), ["product of its bits,", "normalised over 0..18"], computed=True)
    back = ["label smoothing", "taken back"] if net.fusion.smoothing else []
    return Box(f"{output.capitalize()} probabilities", "outputs", (), back, computed=True)
