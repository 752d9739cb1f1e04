"""Writes CTranslate2's Whisper weights as an OpenAI checkpoint, name by name, for peers whose decoder is PyTorch.

``python openai_weights.py FOLDER OUT.pt``, in the peers' own environment, prints the alignment heads in OpenAI's form.
"""

import base64
import gzip
import json
import struct
import sys
from pathlib import Path

import numpy as np
import torch

_TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}


def read_variables(path: Path) -> dict[str, np.ndarray]:
    """The variables of a ``model.bin`` (CTranslate2, ``python/ctranslate2/specs/model_spec.py``)."""
    data = path.read_bytes()
    at = 4
    at = _string(data, at)[1] + 4
    (count,) = struct.unpack_from("<I", data, at)
    at += 4
    variables = {}
    for _ in range(count):
        name, at = _string(data, at)
        rank = data[at]
        shape = struct.unpack_from(f"<{rank}I", data, at + 1)
        kind = data[at + 1 + 4 * rank]
        (size,) = struct.unpack_from("<I", data, at + 2 + 4 * rank)
        at += 6 + 4 * rank
        variables[name] = np.frombuffer(data[at : at + size], _TYPES[kind]).reshape(shape).astype(np.float32)
        at += size
    return variables


def _string(data: bytes, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<H", data, at)
    return data[at + 2 : at + 1 + length].decode(), at + 2 + length


def converted(variables: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    state = {
        "encoder.positional_embedding": variables["encoder/position_encodings/encodings"],
        "decoder.positional_embedding": variables["decoder/position_encodings/encodings"],
        "decoder.token_embedding.weight": variables["decoder/embeddings/weight"],
    }
    for name in ("conv1", "conv2"):
        state |= _linear(variables, f"encoder/{name}", f"encoder.{name}")
    state |= _norm(variables, "encoder/layer_norm", "encoder.ln_post")
    state |= _norm(variables, "decoder/layer_norm", "decoder.ln")
    for side in ("encoder", "decoder"):
        for layer in range(_layers(variables, side)):
            state |= _block(variables, f"{side}/layer_{layer}", f"{side}.blocks.{layer}", cross=side == "decoder")
    return state


def _block(variables: dict, ours: str, theirs: str, *, cross: bool) -> dict[str, np.ndarray]:
    state = _norm(variables, f"{ours}/self_attention/layer_norm", f"{theirs}.attn_ln")
    state |= _fused(variables, f"{ours}/self_attention/linear_0", f"{theirs}.attn", ("query", "key", "value"))
    state |= _linear(variables, f"{ours}/self_attention/linear_1", f"{theirs}.attn.out")
    state |= _norm(variables, f"{ours}/ffn/layer_norm", f"{theirs}.mlp_ln")
    state |= _linear(variables, f"{ours}/ffn/linear_0", f"{theirs}.mlp.0")
    state |= _linear(variables, f"{ours}/ffn/linear_1", f"{theirs}.mlp.2")
    if cross:
        state |= _norm(variables, f"{ours}/attention/layer_norm", f"{theirs}.cross_attn_ln")
        state |= _linear(variables, f"{ours}/attention/linear_0", f"{theirs}.cross_attn.query")
        state |= _fused(variables, f"{ours}/attention/linear_1", f"{theirs}.cross_attn", ("key", "value"))
        state |= _linear(variables, f"{ours}/attention/linear_2", f"{theirs}.cross_attn.out")
    return state


def _norm(variables: dict, ours: str, theirs: str) -> dict[str, np.ndarray]:
    return {f"{theirs}.weight": variables[f"{ours}/gamma"], f"{theirs}.bias": variables[f"{ours}/beta"]}


def _linear(variables: dict, ours: str, theirs: str) -> dict[str, np.ndarray]:
    return {f"{theirs}.weight": variables[f"{ours}/weight"], f"{theirs}.bias": variables[f"{ours}/bias"]}


def _fused(variables: dict, ours: str, theirs: str, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """One matrix that holds several; the key has no bias in Whisper."""
    weights = np.split(variables[f"{ours}/weight"], len(names))
    biases = np.split(variables[f"{ours}/bias"], len(names))
    state = {f"{theirs}.{name}.weight": weight for name, weight in zip(names, weights, strict=True)}
    state |= {f"{theirs}.{name}.bias": bias for name, bias in zip(names, biases, strict=True) if name != "key"}
    return state


def _layers(variables: dict, side: str) -> int:
    return len({name.split("/")[1] for name in variables if name.startswith(f"{side}/layer_") and "/ffn/" in name})


def dimensions(state: dict[str, np.ndarray], variables: dict) -> dict[str, int]:
    width = state["encoder.conv1.weight"].shape[0]
    vocabulary = state["decoder.token_embedding.weight"].shape[0]
    return {
        "n_mels": state["encoder.conv1.weight"].shape[1],
        "n_audio_ctx": state["encoder.positional_embedding"].shape[0],
        "n_audio_state": width,
        "n_audio_head": width // 64,
        "n_audio_layer": _layers(variables, "encoder"),
        "n_vocab": vocabulary,
        "n_text_ctx": state["decoder.positional_embedding"].shape[0],
        "n_text_state": width,
        "n_text_head": width // 64,
        "n_text_layer": _layers(variables, "decoder"),
    }


def alignment_heads(folder: Path, dims: dict[str, int]) -> str:
    mask = np.zeros((dims["n_text_layer"], dims["n_text_head"]), bool)
    for layer, head in json.loads((folder / "config.json").read_text(encoding="utf-8"))["alignment_heads"]:
        mask[layer, head] = True
    return base64.b85encode(gzip.compress(mask.tobytes())).decode()


def main() -> None:
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    variables = read_variables(folder / "model.bin")
    state = converted(variables)
    dims = dimensions(state, variables)
    tensors = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in state.items()}
    torch.save({"dims": dims, "model_state_dict": tensors}, out)
    print(alignment_heads(folder, dims))


if __name__ == "__main__":
    main()
