"""A Whisper model of large-v3-turbo's shape with random weights: it costs what that model costs, and knows no word.

Made by ``transformers`` (with PyTorch) and CTranslate2's converter; neither is needed to caption.

``python -m tests.benchmarks.turbo_shape FOLDER`` makes it in half a minute.
"""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from api.settings import read_settings
from models.weights import locate

SHAPE = {
    "vocab_size": 51866,
    "num_mel_bins": 128,
    "encoder_layers": 32,
    "encoder_attention_heads": 20,
    "encoder_ffn_dim": 5120,
    "decoder_layers": 4,
    "decoder_attention_heads": 20,
    "decoder_ffn_dim": 5120,
    "d_model": 1280,
}
"""``config.json`` of openai/whisper-large-v3-turbo."""
ALIGNMENT_HEADS = [[2, 4], [2, 11], [3, 3], [3, 6], [3, 11], [3, 14]]
"""``generation_config.json`` of the same."""
NAME = "large-v3-turbo-shape"
BASE = "BENCH_BASE"
"""The setting that names the folder of whisper-base where it is not that of the cache."""
_AFTER, _ADDED = "<|su|>", "<|yue|>"
_TEXT_TOKENS = 50257


def base_folder() -> Path:
    return Path(os.environ[BASE]) if BASE in os.environ else locate("whisper-base", read_settings().cache)


def turbo_folder(cache: Path) -> Path:
    """The model's folder in ``cache``, made when it is not there. Raises ``ImportError`` without transformers."""
    folder = cache / NAME
    if not (folder / "preprocessor_config.json").is_file():
        make(folder, base_folder())
    return folder


def make(folder: Path, base: Path, shape: Mapping[str, int] = SHAPE) -> None:
    """``base`` is a multilingual Whisper model, whose tokenizer it takes."""
    import torch
    from ctranslate2.converters import TransformersConverter
    from transformers import GenerationConfig, PreTrainedTokenizerFast, WhisperConfig, WhisperForConditionalGeneration

    tokenizer = with_cantonese(json.loads((base / "tokenizer.json").read_text(encoding="utf-8")))
    suppressed = json.loads((base / "config.json").read_text(encoding="utf-8"))["suppress_ids"]
    torch.manual_seed(3)
    with tempfile.TemporaryDirectory() as made:
        where = Path(made)
        (where / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
        PreTrainedTokenizerFast(
            tokenizer_file=str(where / "tokenizer.json"), eos_token="<|endoftext|>", bos_token="<|endoftext|>"
        ).save_pretrained(where)
        model = WhisperForConditionalGeneration(WhisperConfig(**shape)).half()
        model.generation_config = GenerationConfig(
            alignment_heads=ALIGNMENT_HEADS if shape["decoder_layers"] == 4 else None,
            suppress_tokens=[token + (token > _id_of(tokenizer, _AFTER)) for token in suppressed],
            begin_suppress_tokens=[220, _TEXT_TOKENS],
            lang_to_id={each["content"]: each["id"] for each in tokenizer["added_tokens"] if _is_language(each)},
        )
        model.save_pretrained(where)
        del model
        shutil.rmtree(folder, ignore_errors=True)
        TransformersConverter(str(where), load_as_float16=True).convert(str(folder), quantization="float16")
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
        mels = {"feature_size": shape["num_mel_bins"]}
        (folder / "preprocessor_config.json").write_text(json.dumps(mels), encoding="utf-8")


def with_cantonese(tokenizer: dict[str, Any]) -> dict[str, Any]:
    """The tokenizer of large-v3: one language more than earlier models have, and what follows it one id later."""
    last = _id_of(tokenizer, _AFTER)
    added = []
    for each in tokenizer["added_tokens"]:
        added.append({**each, "id": each["id"] + (each["id"] > last)})
        if each["id"] == last:
            added.append({**each, "id": last + 1, "content": _ADDED})
    special = {
        name: {**each, "ids": [number + (number > last) for number in each["ids"]]}
        for name, each in tokenizer["post_processor"]["special_tokens"].items()
    }
    return {
        **tokenizer,
        "added_tokens": added,
        "post_processor": {**tokenizer["post_processor"], "special_tokens": special},
    }


def _id_of(tokenizer: dict[str, Any], content: str) -> int:
    return next(int(each["id"]) for each in tokenizer["added_tokens"] if each["content"] == content)


def _is_language(token: dict[str, Any]) -> bool:
    return len(token["content"].strip("<|>")) in {2, 3} and token["content"].startswith("<|") and token["special"]


if __name__ == "__main__":
    make(Path(sys.argv[1]), base_folder())
