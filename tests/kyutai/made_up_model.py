"""A language model and a Mimi that moshi-server loads like Kyutai's, made of nothing: no speech was ever learnt.

Mimi has the size of the real one, which moshi-server fixes, and random weights, so that its codes depend on the sound.
The language model is tiny and its weights are chosen: each text token is followed by the next of ``0`` (a word begins),
one of ``_FIRST`` by the sound, all of ``_REST``, ``3`` (nothing more for now). So one of 16 words is said in every 6
steps of 80 ms, in silence too.
"""

import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Weights = Mapping[str, NDArray[np.float32]]

STEPS_A_WORD = 6
DELAY_STEPS = 6
CODEBOOKS = 4
_BOUNDARY, _PADDING = 0, 3
_FIRST = [f"▁{letter}" for letter in "bcdfghjklmnpqrst"]
_REST = ["on", "jo", "ur"]
_PIECES = ["<word>", "<unk>", "<s>", "<pad>", *_FIRST, *_REST]
WORDS = frozenset(first[1:] + "".join(_REST) for first in _FIRST)
_WIDTH, _FEED_FORWARD, _HEADS = 64, 256, 2
_BINS = 2048

_CONFIG = """
static_dir = "{folder}"
log_dir = "{folder}"
instance_name = "made-up"
authorized_ids = ["{key}"]

[modules.asr]
path = "/api/asr-streaming"
type = "BatchedAsr"
lm_model_file = "{model}/lm.safetensors"
text_tokenizer_file = "{model}/tokenizer.model"
audio_tokenizer_file = "{model}/mimi.safetensors"
asr_delay_in_tokens = {delay}
batch_size = {channels}

[modules.asr.model]
audio_vocab_size = {audio}
text_in_vocab_size = {text_in}
text_out_vocab_size = {text_out}
audio_codebooks = {codebooks}

[modules.asr.model.transformer]
d_model = {width}
num_heads = {heads}
num_layers = 1
dim_feedforward = {feed_forward}
causal = true
norm_first = true
bias_ff = false
bias_attn = false
context = 750
max_period = 100000
use_conv_block = false
use_conv_bias = true
gating = "silu"
norm = "RmsNorm"
positional_embedding = "Rope"
conv_layout = false
conv_kernel_size = 3
kv_repeat = 1
max_seq_len = 4096

[modules.asr.model.extra_heads]
num_heads = 4
dim = 6
"""


def configuration(model: Path, folder: Path, key: str, channels: int) -> str:
    """The TOML with which moshi-server serves a model that ``make_model`` made."""
    return _CONFIG.format(
        model=model,
        folder=folder,
        key=key,
        channels=channels,
        delay=DELAY_STEPS,
        audio=_BINS + 1,
        text_in=len(_PIECES) + 1,
        text_out=len(_PIECES),
        codebooks=CODEBOOKS,
        width=_WIDTH,
        heads=_HEADS,
        feed_forward=_FEED_FORWARD,
    )


def make_model(folder: Path) -> None:
    """Some hundred megabytes, the same each time; a folder that was made is left."""
    if folder.is_dir():
        return
    part = folder.with_name(f"{folder.name}.part")
    part.mkdir(parents=True, exist_ok=True)
    (part / "tokenizer.model").write_bytes(_tokenizer())
    _write(part / "lm.safetensors", _language_model())
    _write(part / "mimi.safetensors", dict(_mimi(np.random.default_rng(0))))
    part.replace(folder)


# --- the language model ----------------------------------------------------------------------------------------------


def _language_model() -> Weights:
    follows, sound, one = 0, 32, np.eye(_WIDTH, dtype=np.float32)
    words, rest = range(4, 4 + len(_FIRST)), range(4 + len(_FIRST), len(_PIECES))
    text = np.zeros((len(_PIECES) + 1, _WIDTH), np.float32)
    out = np.zeros((len(_PIECES), _WIDTH), np.float32)
    text[_BOUNDARY] = one[follows]
    for word in words:
        out[word] = 10 * one[follows] + one[sound + word - words[0]]
        text[word] = one[follows + 1]
    for place, token in enumerate([*rest, _PADDING], start=1):
        out[token] = 10 * one[follows + place]
        text[token] = one[follows + place + 1]
    out[_BOUNDARY] = 10 * one[follows + len(_REST) + 2]
    text[1], text[2], text[len(_PIECES)] = [one[follows + len(_REST) + 2]] * 3  # the first step has the last of them
    audio = np.zeros((_BINS + 1, _WIDTH), np.float32)
    audio[np.arange(_BINS), sound + np.arange(_BINS) % len(_FIRST)] = 1
    hidden = 11 * _WIDTH // 4
    layer = "transformer.layers.0"
    return {
        "text_emb.weight": text,
        "text_linear.weight": out,
        "out_norm.alpha": np.ones((1, 1, _WIDTH), np.float32),
        **{f"emb.{book}.weight": audio if book == 0 else np.zeros_like(audio) for book in range(CODEBOOKS)},
        **{f"extra_heads.{head}.weight": np.zeros((6, _WIDTH), np.float32) for head in range(4)},
        f"{layer}.norm1.alpha": np.ones((1, 1, _WIDTH), np.float32),
        f"{layer}.norm2.alpha": np.ones((1, 1, _WIDTH), np.float32),
        f"{layer}.self_attn.in_proj_weight": np.zeros((3 * _WIDTH, _WIDTH), np.float32),
        f"{layer}.self_attn.out_proj.weight": np.zeros((_WIDTH, _WIDTH), np.float32),
        f"{layer}.gating.linear_in.weight": np.zeros((2 * hidden, _WIDTH), np.float32),
        f"{layer}.gating.linear_out.weight": np.zeros((_WIDTH, hidden), np.float32),
    }


def _tokenizer() -> bytes:
    """SentencePiece's ``ModelProto`` (its sentencepiece_model.proto): pieces with score and kind, a unigram model."""
    kinds = {"<unk>": 2, "<word>": 3, "<s>": 3, "<pad>": 3}
    pieces = b"".join(
        _field(1, _field(1, piece.encode()) + b"\x15" + struct.pack("<f", -place) + bytes([0x18, kinds.get(piece, 1)]))
        for place, piece in enumerate(_PIECES)
    )
    trainer = b"\xc0\x02\x01\xc8\x02\x02\xd0\x02\x00\xd8\x02\x03"  # ids: unk 1, bos 2, eos 0, pad 3
    return pieces + _field(2, trainer)


def _field(number: int, content: bytes) -> bytes:
    assert len(content) < 128
    return bytes([number << 3 | 2, len(content)]) + content


# --- Mimi ------------------------------------------------------------------------------------------------------------


def _mimi(random: np.random.Generator) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """By moshi's ``mimi.rs``, configuration v0_1. What decodes is never used, and zero."""
    yield from _seanet_encoder(random)
    yield from _seanet_decoder()
    yield from _transformer("encoder_transformer", random)
    yield from _transformer("decoder_transformer", None)
    yield "downsample.conv.conv.conv.weight", _random(random, 512, 512, 4)
    yield "upsample.convtr.convtr.convtr.weight", np.zeros((512, 1, 4), np.float32)
    for part, books in (("rvq_first", 1), ("rvq_rest", CODEBOOKS - 1)):
        yield f"quantizer.{part}.input_proj.weight", _random(random, 256, 512, 1)
        yield f"quantizer.{part}.output_proj.weight", _random(random, 512, 256, 1)
        for book in range(books):
            name = f"quantizer.{part}.vq.layers.{book}._codebook"
            yield f"{name}._initialized", np.ones(1, np.float32)
            yield f"{name}.cluster_usage", np.ones(_BINS, np.float32)
            yield f"{name}.embedding_sum", random.standard_normal((_BINS, 256), np.float32)


def _seanet_encoder(random: np.random.Generator) -> Iterator[tuple[str, NDArray[np.float32]]]:
    yield from _conv("encoder.model.0", random, 64, 1, 7)
    place, width = 1, 64
    for ratio in (4, 5, 6, 8):
        yield from _conv(f"encoder.model.{place}.block.1", random, width // 2, width, 3)
        yield from _conv(f"encoder.model.{place}.block.3", random, width, width // 2, 1)
        yield from _conv(f"encoder.model.{place + 2}", random, 2 * width, width, 2 * ratio)
        place, width = place + 3, 2 * width
    yield from _conv(f"encoder.model.{place + 1}", random, 512, width, 3)


def _seanet_decoder() -> Iterator[tuple[str, NDArray[np.float32]]]:
    yield from _conv("decoder.model.0", None, 1024, 512, 7)
    place, width = 1, 1024
    for ratio in (8, 6, 5, 4):
        name = f"decoder.model.{place + 1}.convtr.convtr"
        yield f"{name}.weight", np.zeros((width, width // 2, 2 * ratio), np.float32)
        yield f"{name}.bias", np.zeros(width // 2, np.float32)
        width //= 2
        yield from _conv(f"decoder.model.{place + 2}.block.1", None, width // 2, width, 3)
        yield from _conv(f"decoder.model.{place + 2}.block.3", None, width, width // 2, 1)
        place += 3
    yield from _conv(f"decoder.model.{place + 1}", None, 1, 64, 3)


def _conv(name: str, random: np.random.Generator | None, outs: int, ins: int, kernel: int) -> Iterator:
    yield f"{name}.conv.conv.weight", _random(random, outs, ins, kernel)
    yield f"{name}.conv.conv.bias", np.zeros(outs, np.float32)


def _transformer(name: str, random: np.random.Generator | None) -> Iterator[tuple[str, NDArray[np.float32]]]:
    for place in range(8):
        layer = f"{name}.transformer.layers.{place}"
        yield f"{layer}.self_attn.in_proj_weight", _random(random, 1536, 512)
        yield f"{layer}.self_attn.out_proj.weight", _random(random, 512, 512)
        yield f"{layer}.linear1.weight", _random(random, 2048, 512)
        yield f"{layer}.linear2.weight", _random(random, 512, 2048)
        for part in ("norm1", "norm2"):
            yield f"{layer}.{part}.weight", np.ones(512, np.float32)
            yield f"{layer}.{part}.bias", np.zeros(512, np.float32)
        for part in ("layer_scale_1", "layer_scale_2"):
            yield f"{layer}.{part}.scale", np.full(512, 0.01, np.float32)


def _random(random: np.random.Generator | None, *shape: int) -> NDArray[np.float32]:
    """Of a scale that keeps what goes through it as large as it was; zero without a generator."""
    if random is None:
        return np.zeros(shape, np.float32)
    return random.standard_normal(shape, np.float32) / np.float32(np.sqrt(np.prod(shape[1:])))


def _write(path: Path, weights: Weights) -> None:
    """The format of safetensors: the length of a header, the header in JSON, then the tensors."""
    header, at = {}, 0
    for name, tensor in weights.items():
        header[name] = {"dtype": "F32", "shape": tensor.shape, "data_offsets": [at, at + tensor.nbytes]}
        at += tensor.nbytes
    described = json.dumps(header).encode()
    described += b" " * (-len(described) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(described)) + described)
        for tensor in weights.values():
            file.write(np.ascontiguousarray(tensor).tobytes())
