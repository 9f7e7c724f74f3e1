"""A Llama as a graph that OpenVINO compiles: its weights from a GGUF file, adapters as inputs.

For: `openvino_engine`. The graph reads the tokens of many answers at once, laid behind each
other, and finds what each has read before in a cache of blocks ("paged attention", Kwon et al.,
2023, arXiv 2309.06180). Weights are bfloat16 where the processor multiplies it, and elsewhere of
8 bits. An adapter's matrices are inputs, so that all models that were tuned on one base share its
weights. Not for: other families, nor for files that hold more than a tied Llama's tensors; `fit`
says which do.

    shape = fit(Path("model.gguf"), None)       # None if this graph cannot answer for it
    weights = llama_weights(Path("model.gguf"), shape, folder=Path(".workbook/cache"))
    compiled = compiled_llama(weights, None, shape, threads=2)
"""

from __future__ import annotations

import importlib.util
import math
import mmap
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from helpers.backend.inference.weight_file import WeightFile
from helpers.backend.storage.gguf_files import (
    LAYER_NAMES,
    WeightReader,
    read_llama,
    transformers_name,
    unpermute,
)
from helpers.base.gguf_header import read_header
from helpers.base.template_tokenizer import folder_of

if TYPE_CHECKING:
    import openvino

SCALED = 32
"""Neighbours in a row of a matrix of 8 bits that share a scale, as in GGUF's Q8_0: what comes from
such a file stays as it is."""
BLOCK = 32
"""Tokens in a block of the cache: OpenVINO's CPU plugin knows no other size."""
EMBEDDING = "model.embed_tokens.weight"
INPUTS = (
    "input_ids",
    "position_ids",
    "past_lens",
    "subsequence_begins",
    "block_indices",
    "block_indices_begins",
    "max_context_len",
    "logits_at",
)
"""All int32. `logits_at` names the tokens of a pass whose successors are asked for."""


@dataclass(frozen=True)
class LlamaShape:
    """Sizes of a Llama; two of the same shape can share one cache."""

    layers: int
    width: int
    heads: int
    groups: int
    """Heads of keys and values."""
    rope_base: float
    epsilon: float
    context: int

    @property
    def head(self) -> int:
        """Numbers in one head."""
        return self.width // self.heads


@dataclass(frozen=True)
class LoraShape:
    """What adapters must have in common to be inputs of one graph."""

    rank: int
    targets: frozenset[str]
    """Matrices that they add to, by their names in transformers."""


class Weight(NamedTuple):
    """A vector, or a matrix (outputs, inputs): float32, bfloat16, or of 8 bits with scales."""

    values: openvino.Tensor
    scales: openvino.Tensor | None = None


@dataclass(frozen=True)
class GraphWeights:
    """A model's weights by their names in transformers, and the file in which most of them lie."""

    tensors: dict[str, Weight]
    file: WeightFile


@lru_cache(maxsize=1)
def installed() -> bool:
    """Whether OpenVINO is there; there are no wheels of it for Intel Macs and Windows on ARM."""
    return importlib.util.find_spec("openvino") is not None


@lru_cache(maxsize=1)
def core() -> openvino.Core:
    """OpenVINO's entry; takes 0.1 s."""
    import openvino

    return openvino.Core()


@lru_cache(maxsize=1)
def precision() -> str:
    """`bf16` where the processor multiplies it, else `f32`."""
    return "bf16" if "BF16" in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"


def fit(gguf: Path, adapter: Path | None) -> LlamaShape | None:
    """The model's shape; None for another family, and for what the graph would leave out."""
    if folder_of(gguf):
        return None  # a base that came as a folder, in whatever numbers it is served
    header = read_header(gguf)
    if header.get("general.architecture") != "llama":
        return None
    said = {name.removeprefix("llama."): value for name, value in header.items()}
    shape = LlamaShape(
        said["block_count"],
        said["embedding_length"],
        said["attention.head_count"],
        said.get("attention.head_count_kv", said["attention.head_count"]),
        said.get("rope.freq_base", 10_000.0),
        said["attention.layer_norm_rms_epsilon"],
        said["context_length"],
    )
    plain = said.get("rope.dimension_count", shape.head) == shape.head
    plain = plain and said.get("rope.scaling.type", "none") == "none"
    # An output layer of its own, biases or stored frequencies are tensors that this graph would not
    # read: the set must be the same, not just contain its own.
    names = {tensor.name for tensor in WeightReader(gguf).tensors}
    known = names == _tensors(shape)
    return shape if plain and known and _adapter_fits(adapter, names) else None


def _tensors(shape: LlamaShape) -> set[str]:
    blocks = {f"blk.{n}.{name}.weight" for n in range(shape.layers) for name in LAYER_NAMES}
    return blocks | {"token_embd.weight", "output_norm.weight"}


def _adapter_fits(adapter: Path | None, names: set[str]) -> bool:
    if adapter is None:
        return True
    try:
        tensors = WeightReader(adapter).tensors
    except (OSError, ValueError, IndexError):
        return False  # llama.cpp says what is wrong with the file
    targets = {tensor.name.rpartition(".")[0] for tensor in tensors}
    return bool(targets) and targets <= names - {"token_embd.weight"}


def lora_shape(adapter: Path) -> LoraShape:
    """The shape of an adapter that fits."""
    tensors = [tensor for tensor in WeightReader(adapter).tensors if tensor.name.endswith("lora_a")]
    # GGUF names the inputs first.
    rank = max(int(tensor.shape[-1]) for tensor in tensors)
    return LoraShape(rank, frozenset(_target(tensor.name) for tensor in tensors))


def _target(name: str) -> str:
    return str(transformers_name(name.rpartition(".")[0])).removesuffix(".weight")


def lora_tensors(adapter: Path, shape: LlamaShape, lora: LoraShape) -> dict[str, openvino.Tensor]:
    """An adapter as inputs of the graph, by their names; 20 MB for the course's in float32."""

    reader = WeightReader(adapter)
    alpha = float(reader.fields["adapter.lora.alpha"].contents())
    found: dict[str, openvino.Tensor] = {}
    for tensor in reader.tensors:
        target, side = _target(tensor.name), tensor.name[-1]
        values = np.asarray(tensor.data, np.float32)
        if side == "b":
            # Queries and keys lie in pairs of neighbours in a GGUF, in halves in transformers.
            if target.endswith(("q_proj", "k_proj")):
                values = unpermute(values, shape.heads if "q_proj" in target else shape.groups)
            # The last axis of b (outputs, rank) is the rank, as the first of a (rank, inputs).
            values = values * np.float32(alpha / values.shape[-1])
        axis = 0 if side == "a" else 1
        room = np.zeros((lora.rank, values.shape[1]) if axis == 0 else (len(values), lora.rank))
        room = room.astype(np.float32)
        room[: values.shape[0], : values.shape[1]] = values
        found[f"{target}.{side}"] = _rounded(room)
    return found


def _rounded(values: np.ndarray) -> openvino.Tensor:
    """In the precision that is computed in: a pass then need not convert it."""
    import openvino

    if precision() == "f32":
        return openvino.Tensor(values, shared_memory=True)
    tensor = openvino.Tensor(openvino.Type.bf16, openvino.Shape(values.shape))
    tensor.data.view(np.uint16)[:] = _upper_half(values)
    return tensor


def _upper_half(values: np.ndarray) -> np.ndarray:
    """As bfloat16: the upper half of a float32, rounded to the nearest, a tie to the even one."""
    bits = values.view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def llama_weights(gguf: Path, shape: LlamaShape, *, folder: Path) -> GraphWeights:
    """A model's weights as its graphs hold them.

    Two graphs of one model are given the same ones, and then share this memory. In `folder` lies
    the nameless file of those that a graph seldom reads.
    """
    reader = WeightReader(gguf)
    file = WeightFile(folder, WeightFile.room(_given_bytes(tensor) for tensor in reader.tensors))
    found = read_llama(reader, heads=shape.heads, groups=shape.groups)
    return GraphWeights({name: _weight(name, values, file) for name, values in found}, file)


def _given_bytes(tensor: Any) -> int:
    """What a tensor takes at most, as it is given to a graph."""
    # Of 8 bits with a scale of 32 for each 32 of them, or bfloat16; the table of words is wider.
    narrow = precision() == "bf16"
    each = 1.25 if not narrow else 4 if tensor.name == "token_embd.weight" else 2
    return mmap.PAGESIZE + int(each * math.prod(map(int, tensor.shape)))


def _weight(name: str, values: np.ndarray, file: WeightFile) -> Weight:
    import openvino

    if values.ndim < 2:
        return Weight(openvino.Tensor(values, shared_memory=True))
    if precision() == "bf16":
        # Given in float32, the compiled model would hold them twice as large beside what it
        # multiplies with. The table of words stays so, as its product is the logits: in bfloat16
        # many of them would be equal.
        if name == EMBEDDING:
            return Weight(openvino.Tensor(file.take(values), shared_memory=True))
        upper = file.take(_upper_half(values))
        return Weight(openvino.Tensor(upper, openvino.Shape(upper.shape), openvino.Type.bf16))
    if values.shape[-1] % SCALED:
        return Weight(openvino.Tensor(values, shared_memory=True))
    # In float32 an answer alone waits for the memory: 8 bits are a quarter to read.
    parts = (file.take(part) for part in in_8_bits(values))
    numbers, scales = (openvino.Tensor(part, shared_memory=True) for part in parts)
    return Weight(numbers, scales)


def compiled_llama(
    weights: GraphWeights, lora: LoraShape | None, shape: LlamaShape, *, threads: int
) -> openvino.CompiledModel:
    """The model, ready to be asked; with its weights 2 s for 135M of them on two cores.

    With a `lora`, it also has the inputs that `lora_tensors` gives for an adapter of that shape.
    """
    kind = precision()
    model = _Graph(shape, weights.tensors, kind, lora).model()
    return core().compile_model(
        model,
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": kind,
            # A cache of 8 bits is the default; its answers are further from the model's own.
            "KV_CACHE_PRECISION": kind,
            "INFERENCE_NUM_THREADS": str(threads),
            # Pinned threads would stay on a core that another program has taken.
            "ENABLE_CPU_PINNING": "NO",
            "PERFORMANCE_HINT": "LATENCY",
        },
    )


def in_8_bits(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whole numbers (outputs, inputs / 32, 32) and a scale for each 32 of them, float32."""
    parts = matrix.reshape(len(matrix), -1, SCALED)
    scales = np.abs(parts).max(-1, keepdims=True) / np.float32(127)
    # A part of zeros has no largest number, and any scale does.
    scales[scales == 0] = 1
    numbers = parts * (1 / scales)
    return np.rint(numbers, out=numbers).astype(np.int8), scales


def block_bytes(shape: LlamaShape) -> int:
    """What a block of the cache takes: keys and values of all layers."""
    number = 2 if precision() == "bf16" else 4
    return 2 * shape.layers * shape.groups * BLOCK * shape.head * number


def model_bytes(gguf: Path) -> int:
    """What a compiled model takes, about: its weights as they are given and as they are multiplied.

    Measured for 134.5 million of them: 0.67 GB in bfloat16 and 0.41 in 8 bits while it is loaded,
    0.36 and 0.26 once the former are set aside.
    """
    each = 5 if precision() == "bf16" else 3.1
    return int(each * sum(math.prod(tensor.shape) for tensor in WeightReader(gguf).tensors))


def cache_tensors(shape: LlamaShape, blocks: int) -> dict[str, openvino.Tensor]:
    """Room for keys and values of so many blocks, by input; memory is taken as it is written."""
    import openvino

    kind = openvino.Type.bf16 if precision() == "bf16" else openvino.Type.f32
    size = [blocks, shape.groups, BLOCK, shape.head]
    names = [f"{side}_cache.{n}" for n in range(shape.layers) for side in ("key", "value")]
    return {name: openvino.Tensor(kind, openvino.Shape(size)) for name in names}


class _Graph:
    """Builds the graph; the names of its methods are those of a Llama's parts."""

    def __init__(
        self,
        shape: LlamaShape,
        weights: dict[str, Weight],
        kind: str,
        lora: LoraShape | None,
    ) -> None:
        import openvino
        from openvino import opset13

        self._ov, self._op = openvino, opset13
        self._shape, self._lora = shape, lora
        self._kind = openvino.Type.bf16 if kind == "bf16" else openvino.Type.f32
        self._weights = {name: self._constant(weight) for name, weight in weights.items()}
        self._parameters: dict[str, Any] = {}

    def model(self) -> openvino.Model:
        """Input: `INPUTS` and the caches; output: `logits`, float32,
        (len(logits_at), vocabulary)."""
        op, shape = self._op, self._shape
        for name in INPUTS:
            dims = [] if name == "max_context_len" else [-1]
            self._parameter(name, dims, self._ov.Type.i32)
        table = self._weights[EMBEDDING]
        x = op.gather(table, self._parameters["input_ids"], self._whole(0))
        turns = self._rotations()
        for layer in range(shape.layers):
            x = op.add(x, self._attention(self._norm(x, layer, "input_layernorm"), layer, turns))
            x = op.add(x, self._mlp(self._norm(x, layer, "post_attention_layernorm"), layer))
        # Rows of the tokens whose successors are asked for; the vocabulary's product is the
        # largest.
        x = op.gather(x, self._parameters["logits_at"], self._whole(0))
        # The embedding again: only tied models fit.
        logits = op.matmul(self._scaled(x, "model.norm.weight"), table, False, True)
        result = op.result(logits)
        result.output(0).get_tensor().set_names({"logits"})
        return self._ov.Model([result], list(self._parameters.values()), "llama")

    def _constant(self, weight: Weight) -> Any:
        op = self._op
        values = op.constant(weight.values, shared_memory=True)
        if weight.scales is None:
            return values
        # The plugin multiplies with 8 bits as they are where it finds just these operations.
        scales = op.constant(weight.scales, shared_memory=True)
        whole = op.multiply(op.convert(values, np.float32), scales)
        rows, parts, width = weight.values.shape
        return op.reshape(whole, self._whole(rows, parts * width), False)

    def _parameter(self, name: str, dims: list[int], kind: Any) -> Any:
        made = self._op.parameter(self._ov.PartialShape(dims), kind, name=name)
        made.output(0).get_tensor().set_names({name})
        self._parameters[name] = made
        return made

    def _whole(self, *values: int) -> Any:
        return self._op.constant(np.array(values if len(values) > 1 else values[0], np.int64))

    def _number(self, value: float) -> Any:
        return self._op.constant(np.array(value, np.float32))

    def _linear(self, x: Any, layer: int, name: str) -> Any:
        op, name = self._op, f"model.layers.{layer}.{name}"
        weights = self._weights[f"{name}.weight"]
        narrow = weights.get_output_element_type(0) == self._ov.Type.bf16
        product = op.matmul(op.convert(x, self._kind) if narrow else x, weights, False, True)
        product = op.convert(product, np.float32) if narrow else product
        if self._lora is None or name not in self._lora.targets:
            return product
        outputs, inputs = weights.get_output_shape(0)
        a, b = (
            op.convert(self._parameter(f"{name}.{side}", size, self._kind), np.float32)
            for side, size in (("a", [self._lora.rank, inputs]), ("b", [outputs, self._lora.rank]))
        )
        return op.add(product, op.matmul(op.matmul(x, a, False, True), b, False, True))

    def _norm(self, x: Any, layer: int, name: str) -> Any:
        return self._scaled(x, f"model.layers.{layer}.{name}.weight")

    def _scaled(self, x: Any, name: str) -> Any:
        """RMSNorm, in the form that OpenVINO computes in one pass."""
        op = self._op
        mean = op.reduce_mean(op.power(x, self._number(2)), self._whole(-1), True)
        root = op.sqrt(op.add(mean, self._number(self._shape.epsilon)))
        scaled = op.multiply(x, op.divide(self._number(1), root))
        return op.multiply(scaled, self._weights[name])

    def _rotations(self) -> tuple[Any, Any]:
        """Cosines and sines of the tokens' places, (tokens, 1, head), looked up in a table:
        computed in the graph, the angles would be rounded to bfloat16."""
        op, size = self._op, self._shape.head
        speeds = self._shape.rope_base ** -(np.arange(0, size, 2) / size)
        # (context, head): the same speeds for both halves, since place i turns with i + head/2.
        angles = np.outer(np.arange(self._shape.context), np.tile(speeds, 2))
        places = self._parameters["position_ids"]

        def at_places(table: np.ndarray) -> Any:
            found = op.gather(op.constant(table.astype(np.float32)), places, self._whole(0))
            return op.unsqueeze(found, self._whole(1))

        return at_places(np.cos(angles)), at_places(np.sin(angles))

    def _turned(self, x: Any, heads: int, turns: tuple[Any, Any]) -> Any:
        """Rotary position embedding (Su et al., 2021, arXiv 2104.09864)."""
        op, size = self._op, self._shape.head
        cosines, sines = turns
        x = op.reshape(x, self._whole(0, heads, size), True)
        low, high = op.split(x, self._whole(-1), 2).outputs()
        other = op.concat([op.multiply(high, self._number(-1)), low], -1)
        turned = op.add(op.multiply(x, cosines), op.multiply(other, sines))
        return op.reshape(turned, self._whole(0, heads * size), True)

    def _attention(self, x: Any, layer: int, turns: tuple[Any, Any]) -> Any:
        from openvino import op as plain

        shape, given = self._shape, self._parameters
        query, key, value = (self._linear(x, layer, f"self_attn.{n}_proj") for n in "qkv")
        size = [-1, shape.groups, BLOCK, shape.head]
        caches = [
            self._parameter(f"{side}_cache.{layer}", size, self._kind) for side in ("key", "value")
        ]
        nodes = [
            self._turned(query, shape.heads, turns),
            self._turned(key, shape.groups, turns),
            value,
            *caches,
            *(given[name] for name in INPUTS[2:6]),
            self._number(shape.head**-0.5),
            self._op.constant(np.array(0, np.int32)),  # no sliding window
            self._none(np.float32),  # no ALiBi slopes
            given["max_context_len"],
            *self._unused(),
        ]
        # Marked as experimental by its maker, who has no other operation for this.
        operation = getattr(plain, "_PagedAttentionExtension")  # noqa: B009 - it has no other name
        attention = operation([node.output(0) for node in nodes])
        # As OpenVINO's own conversion to paged attention notes them on the operation.
        sizes = {"num_k_heads": shape.groups, "k_head_size": shape.head}
        sizes |= {"num_v_heads": shape.groups, "v_head_size": shape.head}
        for name, number in sizes.items():
            attention.get_rt_info()[name] = number
        return self._linear(attention.output(0), layer, "self_attn.o_proj")

    def _unused(self) -> list[Any]:
        """Inputs 13 to 27: scores, rotated blocks, sparse attention, eviction, trees."""
        zero, whole, real = self._op.constant(np.array(0, np.int32)), np.int32, np.float32
        none = self._none
        return [
            *(none(whole), none(whole), none(whole), none(real)),
            *(none(real), zero, zero, none(real), zero),
            *(none(whole), none(whole), none(whole), none(whole), none(np.uint8), none(whole)),
        ]

    def _none(self, kind: Any) -> Any:
        return self._op.constant(np.zeros(0, kind))

    def _mlp(self, x: Any, layer: int) -> Any:
        op = self._op
        gate = op.swish(self._linear(x, layer, "mlp.gate_proj"))
        both = op.multiply(gate, self._linear(x, layer, "mlp.up_proj"))
        return self._linear(both, layer, "mlp.down_proj")
