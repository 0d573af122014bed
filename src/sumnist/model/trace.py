"""What a network does, from the graph that `torch.export` makes of it: the boxes of its picture.

`steps_of` lists every module and tensor operation that the outputs depend on; `boxes_of` merges what belongs together:
a convolution with its normalisation and activation, the arithmetic between the heads and an output. No layer of ours is
named here: one that has no words below gets the name of its class.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
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


@dataclass
class Step:
    """A call of a `module` of `torch.nn`, or one operation outside of any. `ops`: the names of its ATen operations;
    `inputs`: indices of earlier steps; `parameters`: name → size; `shape`: of the result, with the batch in front;
    `numbers`: the plain ones among its arguments."""

    part: Part
    module: nn.Module | None = None
    ops: list[str] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    parameters: dict[str, int] = field(default_factory=dict)
    shape: tuple[int, ...] = ()
    numbers: list[float] = field(default_factory=list)


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


def steps_of(net: TwoInputNet) -> tuple[list[Step], dict[str, int]]:
    """The steps of `net`, image and number first, and which of them makes the `digit` and which the `sum`."""
    program = exported(net)
    parameters = program.graph_signature.inputs_to_parameters
    steps = [Step("encoder"), Step("fusion")]
    place: dict[Node, int] = {}  # node → step
    latest: str | None = None
    for node in program.graph.nodes:
        if node.name in program.graph_signature.user_inputs:
            place[node] = len(place)
        if node.op != "call_function" or node.meta.get("val") is None:  # an input, or an assertion
            continue
        own = {parameters[source.name]: source for source in node.all_input_nodes if source.name in parameters}
        call, module = layer_of(net, node, own)
        if call is None or call != latest:
            steps.append(Step(part_of(node), module))
        latest, step, value = call, steps[-1], node.meta["val"]
        place[node] = len(steps) - 1
        inputs = dict.fromkeys(place[source] for source in node.all_input_nodes if source in place)
        step.inputs += [i for i in inputs if i != place[node] and i not in step.inputs]
        step.ops.append(node.target.__name__.split(".")[0])
        step.parameters |= {name: source.meta["val"].numel() for name, source in own.items()}
        step.shape = tuple((value[0] if isinstance(value, (tuple, list)) else value).shape)
        step.numbers += [argument for argument in node.args if isinstance(argument, (int, float))]
    digit, total = program.graph.output_node().args[0]
    return steps, {"digit": place[digit], "sum": place[total]}


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


# Boxes: the steps that a reader should see.


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
    steps, ends = steps_of(net)
    builder = Builder(net, steps, ends)
    for i in range(2, len(steps)):
        builder.take(i)
    return builder.boxes, {name: builder.place[end] for name, end in ends.items()}


class Builder:
    """Turns steps into boxes, one step at a time."""

    def __init__(self, net: TwoInputNet, steps: list[Step], ends: dict[str, int]) -> None:
        self.net, self.steps = net, steps
        self.digit, self.sum = upstream(steps, ends["digit"]), upstream(steps, ends["sum"])
        self.users = Counter(j for step in steps for j in step.inputs)
        self.names = {module: name.rsplit(".", 1)[-1] for name, module in net.named_modules()}
        self.boxes = [Box("image", "encoder", (1, 28, 28)), Box("number", "fusion", (), needs_number=True)]
        self.place = {0: 0, 1: 1}  # step → box
        self.collapsed: dict[str, int] = {}  # output → the box of what is computed for it
        self.counted: set[str] = set()
        self.loose: dict[int, dict[str, int]] = {}  # parameters of steps that no input enters

    def take(self, i: int) -> None:
        """Put step `i` into a box of its own or one that is there."""
        step = self.steps[i]
        sources = list(dict.fromkeys(self.place[j] for j in step.inputs if j in self.place))
        parameters = dict(step.parameters)
        for j in step.inputs:
            parameters |= self.loose.get(j, {})
        if not sources:
            self.loose[i] = parameters
            return
        word = follower(step)
        if len(sources) == 1 and (word == "" or (word and sources[0] > 1 and self.users[step.inputs[-1]] == 1)):
            self.place[i] = sources[0]
            merge(self.boxes[sources[0]], step, word)
        elif step.part == "outputs":
            self.place[i] = self.collapse("digit" if i in self.digit else "sum", step)
        else:
            self.place[i] = self.open(step)
        box = self.boxes[self.place[i]]
        box.inputs += [j for j in sources if j != self.place[i] and j not in box.inputs]
        box.parameters += sum(size for name, size in parameters.items() if name not in self.counted)
        box.needs_number = box.needs_number or any(self.boxes[j].needs_number for j in sources)
        box.makes_sum = box.makes_sum or i in self.sum
        self.counted.update(parameters)

    def collapse(self, output: str, step: Step) -> int:
        """The one box for all that is computed between the heads and `output`, with `step` as the latest of it."""
        if output not in self.collapsed:
            self.collapsed[output] = len(self.boxes)
            self.boxes.append(computed_box(self.net, output))
        self.boxes[self.collapsed[output]].shape = step.shape[1:]
        return self.collapsed[output]

    def open(self, step: Step) -> int:
        """A new box for `step`."""
        title, details = words(step)
        name = self.names[step.module] if step.module and step.part == "fusion" else ""
        if name in ("digit", "sum"):
            title, details = f"{name.capitalize()} head", [title, *details]
        modules = [step.module] if step.module else []
        self.boxes.append(Box(title, step.part, step.shape[1:], details, modules=modules))
        return len(self.boxes) - 1


def upstream(steps: list[Step], end: int) -> set[int]:
    """The steps that `end` depends on, itself included."""
    needed = {end}
    for i in range(end, -1, -1):
        needed.update(steps[i].inputs if i in needed else ())
    return needed


def follower(step: Step) -> str | None:
    """The word for a step in the box that it follows, empty where it needs none; None for a step with its own box."""
    kind, is_temperature = type(step.module).__name__, step.part == "outputs" and step.ops == ["div"]
    if is_temperature or QUIET.issuperset(step.ops):
        return ""
    if step.module is None:
        return FOLLOWERS.get(step.ops[0])
    if "Norm" in kind:
        return "norm"
    is_activation = type(step.module).__module__ == "torch.nn.modules.activation" and not step.parameters
    return kind if is_activation or kind == "PReLU" else None


def merge(box: Box, step: Step, word: str | None) -> None:
    """Let `box` swallow `step`."""
    if word and not box.computed:
        box.details.append(word)
    if step.module and word:
        box.modules.append(step.module)
    ones_dropped = tuple(n for n in step.shape[1:] if n > 1) == tuple(n for n in box.shape if n > 1)
    if box.title != "number" and (word or ones_dropped):  # the shape before a flattening says more than the one after
        box.shape = step.shape[1:]


def words(step: Step) -> tuple[str, list[str]]:
    """Title and details for the box of a step."""
    module, kind = step.module, type(step.module).__name__
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
            return (f"Global {pooling}", []) if math.prod(step.shape[2:]) == 1 else (f"{pooling.capitalize()}-pool", [])
        return f"{pooling.capitalize()}-pool", [times(module.kernel_size, always=True)]
    if module is not None:
        return kind, []
    op, operators = step.ops[0], {"div": "÷", "mul": "×"}
    if op in operators and len(step.numbers) == 1:
        return f"{operators[op]} {step.numbers[0]:g}", []
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
