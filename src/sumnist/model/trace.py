"""What a network does, seen from inside one run of it: the boxes of its picture.

`record` runs the network once on an empty batch and notes every module and tensor operation that the outputs depend on;
`boxes_of` merges what belongs together: a convolution with its normalisation and activation, the arithmetic between
the heads and an output. No layer of ours is named here: one that has no words below gets the name of its class.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from sumnist.model.fusion import ExactFusion, LearnedFusion
from sumnist.model.network import TwoInputNet

__all__ = ["Box", "boxes_of"]

Part = Literal["encoder", "fusion", "outputs"]


@dataclass(frozen=True)
class Step:
    """One operation of the run: `op` is the name of a module's class or of a torch function, `inputs` are indices of
    earlier steps, `shape` is that of the result with the batch in front."""

    op: str
    part: Part
    inputs: tuple[int, ...]
    shape: tuple[int, ...]
    module: nn.Module | None = None
    parameters: tuple[nn.Parameter, ...] = ()
    scalars: tuple[float, ...] = ()


class Recorder(TorchFunctionMode):
    """While active, notes each torch function that is called, and each module of `torch.nn` as one step."""

    def __init__(self, image: Tensor, number: Tensor) -> None:
        super().__init__()
        self.steps: list[Step] = []
        self.part: Part = "encoder"
        self.depth = 0  # how many modules of torch.nn we are inside of
        self.makers: dict[int, int] = {}  # id of a tensor → the step that made it
        self.kept: list[Tensor] = []  # alive, so that no id is given twice
        for op, value in (("image", image), ("number", number)):
            self.note(op, None, (), value)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not self.depth:
            name = getattr(func, "__name__", str(func))
            owner = getattr(func, "__self__", None)  # a property: the getter of its descriptor
            self.note(getattr(owner, "__name__", name) if name == "__get__" else name, None, (args, kwargs), result)
        return result

    def note(self, op: str, module: nn.Module | None, given: object, result: object) -> None:
        results = list(tensors(result))
        if not results:
            return
        known = [value for value in tensors(given) if id(value) in self.makers]
        own = list(module.parameters()) if module else [p for p in tensors(given) if isinstance(p, nn.Parameter)]
        step = Step(
            op, self.part, tuple(dict.fromkeys(self.makers[id(value)] for value in known)), tuple(results[0].shape),
            module, tuple(own), tuple(numbers(given)),
        )  # fmt: skip
        self.makers.update({id(value): len(self.steps) for value in results})
        self.kept += results
        self.steps.append(step)

    def watch(self, net: TwoInputNet) -> Iterator[Any]:
        """Hook the modules of `net`; yields the handles that undo it."""

        def enter(*_: object) -> None:
            self.depth += 1

        def leave(module: nn.Module, args: object, kwargs: object, result: object) -> None:
            self.depth -= 1
            if not self.depth:
                self.note(type(module).__name__, module, (args, kwargs), result)

        def finish(module: nn.Module, *_: object) -> None:
            self.part = "fusion" if module is net.encoder else "outputs"

        for module in net.modules():
            if type(module).__module__.startswith("torch.nn.") and not isinstance(module, nn.Sequential):
                yield module.register_forward_pre_hook(enter)
                yield module.register_forward_hook(leave, with_kwargs=True)
        yield net.encoder.register_forward_hook(finish)
        yield net.fusion.register_forward_hook(finish)


def tensors(value: object) -> Iterator[Tensor]:
    """The tensors in nested tuples, lists and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from tensors(item)


def numbers(value: object) -> Iterator[float]:
    """The plain numbers among the arguments of a call."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        yield value
    elif type(value) in (tuple, list):
        for item in value:  # type: ignore[attr-defined]
            yield from numbers(item)


def record(net: TwoInputNet) -> tuple[list[Step], dict[str, int]]:
    """The steps of one run of `net` in evaluation mode, and which of them makes the `digit` and which the `sum`."""
    device = next(net.parameters()).device
    image = torch.zeros(2, 1, 28, 28, device=device)
    number = torch.zeros(2, dtype=torch.int64, device=device)
    recorder, training = Recorder(image, number), net.training
    handles = list(recorder.watch(net))
    try:
        with torch.no_grad(), recorder:
            outputs = net.eval()(image, number)
    finally:
        net.train(training)
        for handle in handles:
            handle.remove()
    return recorder.steps, {name: recorder.makers[id(value)] for name, value in outputs._asdict().items()}


# Boxes: what a reader should see of it.


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
    "Flatten", "Unflatten", "Identity", "Dropout", "Dropout1d", "Dropout2d", "flatten", "reshape", "view", "unsqueeze",
    "squeeze", "float", "to", "contiguous", "type_as", "detach", "__getitem__", "dropout",
}  # fmt: skip
"""Operations that change a tensor's form and not what it says: they go unmentioned."""
DIVISIONS = {"div", "__truediv__"}
"""After the heads that is the temperature, which changes how bold an answer is and not which: unmentioned too."""

FOLLOWERS = {
    "relu": "ReLU", "relu_": "ReLU", "gelu": "GELU", "silu": "SiLU", "sigmoid": "sigmoid", "tanh": "tanh",
    "softmax": "softmax", "log_softmax": "log-softmax", "layer_norm": "norm", "batch_norm": "norm",
    "leaky_relu": "LeakyReLU",
}  # fmt: skip
"""Functions drawn as a word in the box that they follow."""

TITLES = {
    "cat": "Join", "add": "Add", "__add__": "Add", "one_hot": "One-hot", "mean": "Mean", "matmul": "Product",
    "mul": "Multiply", "div": "Divide", "max_pool2d": "Max-pool", "avg_pool2d": "Mean-pool",
}  # fmt: skip


def boxes_of(net: TwoInputNet) -> tuple[list[Box], dict[str, int]]:
    """The boxes of the picture, each after its inputs, image and number first; and which of them give the outputs."""
    steps, ends = record(net)
    builder = Builder(net, steps, ends)
    for i in sorted(builder.digit | builder.sum):
        if i > 1:
            builder.take(i)
    return builder.boxes, {name: builder.place[end] for name, end in ends.items()}


class Builder:
    """Turns steps into boxes, one step at a time."""

    def __init__(self, net: TwoInputNet, steps: list[Step], ends: dict[str, int]) -> None:
        self.net, self.steps = net, steps
        self.digit, self.sum = upstream(steps, ends["digit"]), upstream(steps, ends["sum"])
        self.users = Counter(j for i in self.digit | self.sum for j in steps[i].inputs)
        self.names = {module: name.rsplit(".", 1)[-1] for name, module in net.named_modules()}
        self.boxes = [Box("image", "encoder", (1, 28, 28)), Box("number", "fusion", (), needs_number=True)]
        self.place = {0: 0, 1: 1}  # step → box
        self.collapsed: dict[str, int] = {}  # output → the box of what is computed for it
        self.counted: set[nn.Parameter] = set()
        self.loose: dict[int, tuple[nn.Parameter, ...]] = {}  # parameters of steps that no input enters

    def take(self, i: int) -> None:
        """Put step `i` into a box of its own or one that is there."""
        step = self.steps[i]
        sources = list(dict.fromkeys(self.place[j] for j in step.inputs if j in self.place))
        parameters = step.parameters + tuple(p for j in step.inputs for p in self.loose.get(j, ()))
        word = follower(step)
        follows = len(sources) == 1 and (word == "" or (word and sources[0] > 1 and self.users[step.inputs[-1]] == 1))
        if follows:
            self.place[i] = sources[0]
            merge(self.boxes[sources[0]], step, word)
        elif step.part == "outputs":
            self.place[i] = self.collapse("digit" if i in self.digit else "sum", step)
        elif sources:
            self.place[i] = self.open(step)
        else:
            self.loose[i] = parameters
            return
        box = self.boxes[self.place[i]]
        box.inputs += [j for j in sources if j != self.place[i] and j not in box.inputs]
        box.parameters += sum(p.numel() for p in dict.fromkeys(parameters) if p not in self.counted)
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
        modules = [step.module] if step.module else []
        if step.part == "fusion" and step.module and self.names[step.module] in ("digit", "sum"):
            title, details = f"{self.names[step.module].capitalize()} head", [title, *details]
        self.boxes.append(Box(title, step.part, step.shape[1:], details, modules=modules))
        return len(self.boxes) - 1


def upstream(steps: list[Step], end: int) -> set[int]:
    """The steps that `end` depends on, itself included."""
    seen: set[int] = set()
    waiting = [end]
    while waiting:
        i = waiting.pop()
        if i not in seen:
            seen.add(i)
            waiting += steps[i].inputs
    return seen


def follower(step: Step) -> str | None:
    """The word for a step in the box that it follows, empty where it needs none; None for a step with its own box."""
    if step.op in QUIET or (step.part == "outputs" and step.op in DIVISIONS):
        return ""
    if step.module is None:
        return FOLLOWERS.get(step.op)
    if "Norm" in step.op:
        return "norm"
    is_activation = type(step.module).__module__ == "torch.nn.modules.activation" and not step.parameters
    return step.op if is_activation or step.op == "PReLU" else None


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
    module, kind = step.module, step.op
    if isinstance(module, (nn.Conv1d, nn.Conv2d)):
        details = [f"stride {times(module.stride)}"] if set(module.stride) != {1} else []
        depthwise = module.groups == module.in_channels > 1
        details += ["depthwise"] if depthwise else [f"{module.groups} groups"] if module.groups > 1 else []
        return f"Conv {times(module.kernel_size, always=True)}", details
    if isinstance(module, nn.Linear):
        return f"Linear {module.out_features}", []
    if module is not None and "Pool" in kind:
        what = "max" if "Max" in kind else "mean"
        if kind.startswith("Adaptive"):
            return (f"Global {what}", []) if math.prod(step.shape[2:]) == 1 else (f"{what.capitalize()}-pool", [])
        return f"{what.capitalize()}-pool", [times(module.kernel_size, always=True)]
    operators = {"__truediv__": "÷", "div": "÷", "__mul__": "×", "mul": "×"}
    if kind in operators and len(step.scalars) == 1:
        return f"{operators[kind]} {step.scalars[0]:g}", []
    return TITLES.get(kind, kind.strip("_")), []


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
