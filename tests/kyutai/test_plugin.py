"""Visio's plugin for Kyutai, as PyPI has it, against the dialect with Whisper behind it."""

import asyncio
import json
import os
from pathlib import Path

import jiwer
import pytest
from whisper_normalizer.basic import BasicTextNormalizer

from api.settings import read_settings
from api.wiring import Recognition
from tests.houses import settings_in
from tests.recordings import described, recorded
from tests.serving import serving

CLIP = "en_LJ001-0002.wav"


def plugin_python() -> Path:
    """That of the environment which ``make services`` made; without it a laptop skips and CI fails."""
    path = read_settings().cache / "kyutai-plugin" / "bin" / "python"
    if not path.exists():
        if os.environ.get("CI"):
            pytest.fail(f"{path} is missing: CI needs the plugin, which .ci/services installs")
        pytest.skip("livekit-plugins-kyutai-lasuite is not on this machine: make services installs it")
    return path


async def test_visios_plugin_unchanged_says_the_words_of_recorded_speech(tmp_path: Path, loaded: Recognition) -> None:
    python, client = plugin_python(), Path(__file__).with_name("plugin_client.py")
    async with serving(loaded, settings_in(tmp_path)) as served:
        url = f"{served.url.replace('http', 'ws', 1)}/api/asr-streaming"
        plugin = await asyncio.create_subprocess_exec(
            python, client, url, served.key, recorded(CLIP), stdout=asyncio.subprocess.PIPE
        )
        out, _ = await plugin.communicate()
    assert plugin.returncode == 0
    said = [json.loads(line) for line in out.decode().splitlines() if line.startswith("{")]
    plain = BasicTextNormalizer()
    truth = plain(str(described(CLIP)["ref_text"]))
    assert jiwer.wer(truth, plain(" ".join(word["text"] for word in said))) < 0.15
    assert len(said) >= len(truth.split()) - 1  # a transcript for each word
    starts = [word["start"] for word in said]
    assert starts == sorted(starts)
