"""The environment is read once, and every value that cannot be used is refused by name."""

from pathlib import Path

import pytest
from faster_whisper.tokenizer import _LANGUAGE_CODES

from api.parsing import LANGUAGES, IceServer, parse_languages
from api.settings import (
    Device,
    JanusSettings,
    KyutaiSettings,
    LiveKitSettings,
    PacketMode,
    PolicyName,
    S3Settings,
    Settings,
    for_many_processes,
    read_settings,
)
from api.variables import VARIABLES
from pipeline.errors import InvalidSetting

HOME = {"HOME": "/home/someone"}


def test_an_empty_environment_gives_the_defaults() -> None:
    assert read_settings(HOME) == Settings(
        cache=Path("/home/someone/.cache/greffier"),
        home=Path("/home/someone/.local/share/greffier"),
        database_url="sqlite:////home/someone/.local/share/greffier/greffier.db",
    )


def test_an_empty_value_is_no_value() -> None:
    assert read_settings({**HOME, **{variable.name: " " for variable in VARIABLES}}) == read_settings(HOME)


def test_the_defaults_written_down_are_the_defaults_in_force() -> None:
    assert read_settings({**HOME, **{variable.name: variable.default for variable in VARIABLES}}) == read_settings(HOME)


def test_every_variable_is_read() -> None:
    settings = read_settings(
        {
            "GREFFIER_MODEL": "large-v3-turbo",
            "GREFFIER_DEVICE": "cuda",
            "GREFFIER_COMPUTE_TYPE": "float16",
            "GREFFIER_LANGUAGES": "en, FR,en",
            "GREFFIER_CACHE": "/var/cache/greffier",
            "GREFFIER_THREADS": "4",
            "GREFFIER_BATCH": "16",
            "GREFFIER_STEP": "0.5",
            "GREFFIER_POLICY": "local-agreement",
            "GREFFIER_HOST": "[::1]",
            "GREFFIER_PORT": "80",
            "GREFFIER_HOME": "/srv/greffier",
            "GREFFIER_DATABASE_URL": "sqlite:////srv/other.db",
            "GREFFIER_UDP_PORTS": "40000-40199",
            "GREFFIER_ICE_SERVERS": "stun:stun.example:3478, turn:anne:s3cret@turn.example:3478?transport=tcp",
            "GREFFIER_EMPTY_AFTER": "60",
            "GREFFIER_HLS_HOLD_BACK": "3.5",
            "GREFFIER_UPLOAD_LIMIT": "100 MiB",
            "GREFFIER_ORIGINS": "https://a.example,http://localhost:3000",
            "GREFFIER_TOKEN_TTL": "900",
            "LIVEKIT_URL": "wss://livekit.example",
            "LIVEKIT_API_KEY": "APIkey",
            "LIVEKIT_API_SECRET": "hush, hush",
            "TRANSCRIBER_AGENT_NAME": "clerk",
            "METADATA_COLLECTOR_AGENT_NAME": "notes",
            "AWS_S3_OUTPUT_FOLDER": "visio/metadata",
            "GREFFIER_LIVEKIT_CAPTIONS": "in-place",
            "GREFFIER_JANUS_URL": "ws://janus.example:8188/janus",
            "GREFFIER_JANUS_ROOMS": "1234, council",
            "GREFFIER_JANUS_SECRET": "adminpwd",
            "GREFFIER_JANUS_TOKEN": "t0ken",
            "GREFFIER_JANUS_PIN": "pin",
            "GREFFIER_KYUTAI_URLS": "ws://kyutai.example:8080, wss://kyutai.example/stt, ws://kyutai.example:8080/",
            "GREFFIER_KYUTAI_KEY": "public token",
            "GREFFIER_KYUTAI_SLOTS": "400",
            "GREFFIER_KYUTAI_DELAY": "2.5",
            "GREFFIER_REDIS_URL": "rediss://:s3cret@redis.example:6380/2",
            "GREFFIER_SECRET": "0123456789abcdef0123456789abcdef",
            "GREFFIER_TALKERS": "40",
            "GREFFIER_S3_ENDPOINT_URL": "https://oos.eu-west-2.outscale.com/",
            "GREFFIER_S3_BUCKET": "visio",
            "GREFFIER_S3_ACCESS_KEY_ID": "AKID",
            "GREFFIER_S3_SECRET_ACCESS_KEY": "hush",
            "GREFFIER_S3_REGION": "eu-west-2",
            "GREFFIER_S3_PATH_STYLE": "false",
            "GREFFIER_S3_PUBLIC_URL": "https://files.example/",
            "PYANNOTE_METRICS_ENABLED": "false",
        }
    )
    assert settings == Settings(
        cache=Path("/var/cache/greffier"),
        model="large-v3-turbo",
        device=Device.CUDA,
        compute_type="float16",
        languages=("en", "fr"),
        threads=4,
        batch=16,
        step=0.5,
        policy=PolicyName.LOCAL_AGREEMENT,
        pyannote_metrics=False,
        host="::1",
        port=80,
        home=Path("/srv/greffier"),
        database_url="sqlite:////srv/other.db",
        ice_servers=(
            IceServer("stun:stun.example:3478"),
            IceServer("turn:turn.example:3478?transport=tcp", "anne", "s3cret"),
        ),
        udp_ports=range(40000, 40200),
        empty_after=60.0,
        hls_hold_back=3.5,
        upload_limit=100 * 1024**2,
        origins=("https://a.example", "http://localhost:3000"),
        token_ttl=900.0,
        redis_url="rediss://:s3cret@redis.example:6380/2",
        secret=b"0123456789abcdef0123456789abcdef",
        talkers=40,
        kyutai=KyutaiSettings(
            ("ws://kyutai.example:8080/api/asr-streaming", "wss://kyutai.example/stt"), "public token", 400, 2.5
        ),
        livekit=LiveKitSettings(
            "wss://livekit.example", "APIkey", "hush, hush", "clerk", "notes", "visio/metadata", PacketMode.IN_PLACE
        ),
        janus=JanusSettings("ws://janus.example:8188/janus", ("1234", "council"), "adminpwd", "t0ken", "pin"),
        s3=S3Settings(
            *("https://oos.eu-west-2.outscale.com", "visio", "AKID", "hush", "eu-west-2"),
            path_style=False,
            public_url="https://files.example",
        ),
    )


LIVEKIT = {"LIVEKIT_URL": "ws://127.0.0.1:7880", "LIVEKIT_API_KEY": "devkey", "LIVEKIT_API_SECRET": "secret"}


def test_livekit_needs_its_three_variables_and_says_which_one_is_missing() -> None:
    assert read_settings(HOME | LIVEKIT).livekit == LiveKitSettings("ws://127.0.0.1:7880", "devkey", "secret")
    assert read_settings(HOME | {"TRANSCRIBER_AGENT_NAME": "clerk"}).livekit is None
    for name in LIVEKIT:
        with pytest.raises(InvalidSetting, match=f"^{name} must be set, too"):
            read_settings({key: value for key, value in LIVEKIT.items() if key != name})
    with pytest.raises(InvalidSetting, match=r"^LIVEKIT_API_KEY and LIVEKIT_API_SECRET must be set, too"):
        read_settings({"LIVEKIT_URL": LIVEKIT["LIVEKIT_URL"]})


def test_there_is_no_metadata_collector_where_it_is_not_wanted() -> None:
    found = read_settings(HOME | LIVEKIT | {"METADATA_COLLECTOR_ENABLED": "False"}).livekit
    assert found is not None
    assert found.collector is None


S3 = {
    "GREFFIER_S3_ENDPOINT_URL": "https://s3.example",
    "GREFFIER_S3_BUCKET": "ours",
    "GREFFIER_S3_ACCESS_KEY_ID": "our key",
    "GREFFIER_S3_SECRET_ACCESS_KEY": "secret",
}
VISIO = {
    "AWS_S3_ENDPOINT_URL": "minio:9000",
    "AWS_STORAGE_BUCKET_NAME": "meet-media-storage",
    "AWS_S3_ACCESS_KEY_ID": "meet",
    "AWS_S3_SECRET_ACCESS_KEY": "password",
}


def test_s3_needs_its_four_variables_and_says_which_one_is_missing() -> None:
    assert read_settings(HOME | S3).s3 == S3Settings("https://s3.example", "ours", "our key", "secret")
    assert read_settings(HOME | {"GREFFIER_S3_REGION": "eu-west-2"}).s3 is None
    for names in (S3, VISIO):
        for name in names:
            with pytest.raises(InvalidSetting, match=rf"{name}\)? ?.*must be set, too") as refused:
                read_settings({key: value for key, value in names.items() if key != name})
            assert "secret" not in str(refused.value)
            assert "password" not in str(refused.value)
    with pytest.raises(
        InvalidSetting, match=r"^GREFFIER_S3_BUCKET \(or AWS_STORAGE_BUCKET_NAME\) and GREFFIER_S3_ACCESS"
    ):
        read_settings({"AWS_S3_ENDPOINT_URL": "minio:9000"})


def test_s3_may_be_named_as_visio_names_it() -> None:
    found = read_settings(HOME | VISIO | {"AWS_S3_REGION_NAME": "eu-west-2"}).s3
    assert found == S3Settings("http://minio:9000", "meet-media-storage", "meet", "password", "eu-west-2")
    assert read_settings(HOME | VISIO | S3).s3 == read_settings(HOME | S3).s3
    mixed = VISIO | {"GREFFIER_S3_BUCKET": "ours", "GREFFIER_S3_REGION": "r1", "AWS_S3_REGION_NAME": "r2"}
    assert read_settings(HOME | mixed).s3 == S3Settings("http://minio:9000", "ours", "meet", "password", "r1")


@pytest.mark.parametrize(
    ("given", "secure", "endpoint"),
    [
        ("minio:9000", "", "http://minio:9000"),
        ("minio:9000", "False", "http://minio:9000"),
        ("oos.eu-west-2.outscale.com", "True", "https://oos.eu-west-2.outscale.com"),
        ("[fd00::7]:9000", "true", "https://[fd00::7]:9000"),
        ("https://s3.example/", "false", "https://s3.example"),
        ("http://s3.example:9000", "true", "http://s3.example:9000"),
    ],
)
def test_visios_endpoint_is_a_host_or_a_url(given: str, secure: str, endpoint: str) -> None:
    found = read_settings(HOME | VISIO | {"AWS_S3_ENDPOINT_URL": given, "AWS_S3_SECURE_ACCESS": secure}).s3
    assert found is not None
    assert found.endpoint == endpoint


def test_servers_of_kyutai_need_a_key_and_a_key_alone_means_nothing() -> None:
    assert read_settings(HOME | {"GREFFIER_KYUTAI_KEY": "token"}).kyutai is None
    with pytest.raises(InvalidSetting, match=r"^GREFFIER_KYUTAI_KEY must be set, too"):
        read_settings(HOME | {"GREFFIER_KYUTAI_URLS": "ws://kyutai.example"})
    settings = read_settings(HOME | {"GREFFIER_KYUTAI_URLS": "ws://kyutai.example", "GREFFIER_KYUTAI_KEY": "s3cret"})
    assert settings.kyutai == KyutaiSettings(("ws://kyutai.example/api/asr-streaming",), "s3cret", 64, 0.5)
    assert "s3cret" not in repr(settings)


def test_secrets_are_not_shown_where_settings_are() -> None:
    janus = {"GREFFIER_JANUS_URL": "ws://h", "GREFFIER_JANUS_SECRET": "secret", "GREFFIER_JANUS_PIN": "secret"}
    assert "secret'" not in repr(read_settings(HOME | LIVEKIT | janus | S3 | {"GREFFIER_JANUS_TOKEN": "secret"}))
    assert "s3cret" not in repr(read_settings(HOME | {"GREFFIER_DATABASE_URL": "postgresql://anne:s3cret@h/greffier"}))
    assert "s3cret" not in repr(read_settings(HOME | {"GREFFIER_ICE_SERVERS": "turn:anne:s3cret@turn.example:3478"}))


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("GREFFIER_DEVICE", "gpu", "auto, cpu or cuda"),
        ("GREFFIER_COMPUTE_TYPE", "int4", "int8"),
        ("GREFFIER_LANGUAGES", "fr,xx", "codes of languages"),
        ("GREFFIER_LANGUAGES", ",", "codes of languages"),
        ("GREFFIER_THREADS", "0", "from 1 to 256"),
        ("GREFFIER_THREADS", "two", "from 1 to 256"),
        ("GREFFIER_BATCH", "257", "from 1 to 256"),
        ("GREFFIER_BATCH", "1.5", "from 1 to 256"),
        ("GREFFIER_STEP", "0.1", "from 0.2 to 10"),
        ("GREFFIER_STEP", "nan", "from 0.2 to 10"),
        ("GREFFIER_POLICY", "greedy", "alignatt or local-agreement"),
        ("GREFFIER_CACHE", __file__, "a folder"),
        ("GREFFIER_HOME", __file__, "a folder"),
        ("GREFFIER_HOST", "a host", "an address"),
        ("GREFFIER_UDP_PORTS", "40199-40000", "such as 40000-40199"),
        ("GREFFIER_UDP_PORTS", "80-90", "such as 40000-40199"),
        ("GREFFIER_UDP_PORTS", "40000-70000", "such as 40000-40199"),
        ("GREFFIER_PORT", "65536", "from 0 to 65535"),
        ("GREFFIER_EMPTY_AFTER", "0", "from 1 to 86400"),
        ("GREFFIER_HLS_HOLD_BACK", "-1", "from 0 to 60"),
        ("GREFFIER_UPLOAD_LIMIT", "2 GB", "GiB"),
        ("GREFFIER_UPLOAD_LIMIT", "0", "bytes"),
        ("GREFFIER_ORIGINS", "https://a.example/page", "origins"),
        ("GREFFIER_ORIGINS", "*", "origins"),
        ("GREFFIER_TOKEN_TTL", "5", "from 10 to 86400"),
        ("GREFFIER_TALKERS", "0", "from 1 to 10000"),
        ("LIVEKIT_URL", "livekit.example", "wss://HOST"),
        ("LIVEKIT_URL", "wss://key:secret@livekit.example", "wss://HOST"),
        ("TRANSCRIBER_AGENT_NAME", "two words", "letters, digits"),
        ("METADATA_COLLECTOR_AGENT_NAME", "é", "letters, digits"),
        ("METADATA_COLLECTOR_ENABLED", "perhaps", "true or false"),
        ("AWS_S3_OUTPUT_FOLDER", "../metadata", "without dots"),
        ("AWS_S3_OUTPUT_FOLDER", "/metadata", "a folder"),
        ("GREFFIER_LIVEKIT_CAPTIONS", "both", "append or in-place"),
        ("GREFFIER_S3_ENDPOINT_URL", "s3.example", "https://HOST"),
        ("GREFFIER_S3_ENDPOINT_URL", "s3://bucket", "https://HOST"),
        ("GREFFIER_S3_BUCKET", "../b", "name of a bucket"),
        ("GREFFIER_S3_REGION", "eu west", "a region"),
        ("AWS_S3_ENDPOINT_URL", "ftp://s3.example", "HOST:PORT"),
        ("AWS_S3_ENDPOINT_URL", "key@s3.example", "HOST:PORT"),
        ("AWS_S3_SECURE_ACCESS", "yes", "true or false"),
        ("AWS_STORAGE_BUCKET_NAME", "two words", "name of a bucket"),
        ("GREFFIER_JANUS_URL", "http://janus.example", "ws://HOST"),
        ("GREFFIER_JANUS_ROOMS", "one two", "ids of rooms"),
        ("GREFFIER_KYUTAI_URLS", "http://kyutai.example", "ws://HOST"),
        ("GREFFIER_KYUTAI_URLS", "ws://kyutai.example/api?auth_id=token", "ws://HOST"),
        ("GREFFIER_KYUTAI_SLOTS", "0", "from 1 to 10000"),
        ("GREFFIER_KYUTAI_DELAY", "0", "from 0.08 to 10"),
    ],
)
def test_a_bad_value_is_refused_with_its_name_and_what_is_allowed(name: str, value: str, allowed: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        read_settings({name: value})
    assert name in str(refused.value)
    assert repr(value) in str(refused.value)
    assert allowed in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("GREFFIER_DATABASE_URL", "greffier.db", "sqlite:///PATH"),
        ("GREFFIER_DATABASE_URL", "mysql://anne:s3cret@host/greffier", "postgresql://USER:PASSWORD@HOST:PORT/NAME"),
        ("GREFFIER_DATABASE_URL", "postgresql://anne:s3cret@host", "HOST:PORT/NAME"),
        ("GREFFIER_DATABASE_URL", "postgresql://anne:s3@cret@host/greffier", "HOST:PORT/NAME"),
        ("GREFFIER_DATABASE_URL", "postgresql://anne:s3/cret@host/greffier", "HOST:PORT/NAME"),
        ("GREFFIER_DATABASE_URL", "postgresql://anne:s3:cret@host:port/greffier", "HOST:PORT/NAME"),
        ("GREFFIER_REDIS_URL", "redis.example:6379", "redis://USER:PASSWORD@HOST:PORT"),
        ("GREFFIER_REDIS_URL", "redis://anne:s3@cret@redis.example", "redis://USER:PASSWORD@HOST:PORT"),
        ("GREFFIER_SECRET", "s3cret", "32 or more"),
        ("GREFFIER_KYUTAI_KEY", "s3cret\u00e9", "letters, digits and signs"),
        ("GREFFIER_ICE_SERVERS", "turn:turn.example", "turn:USER:PASSWORD@HOST:PORT"),
        ("GREFFIER_ICE_SERVERS", "anne:s3cret@stun.example:3478", "stun:HOST:PORT"),
    ],
)
def test_a_bad_value_that_may_hold_a_password_is_not_shown(name: str, value: str, allowed: str) -> None:
    with pytest.raises(InvalidSetting, match=f"^{name} cannot be used as it is") as refused:
        read_settings({name: value})
    assert "cret" not in str(refused.value)
    assert allowed in str(refused.value)


def test_processes_that_share_meetings_say_all_that_is_missing() -> None:
    with pytest.raises(InvalidSetting, match=r"GREFFIER_REDIS_URL .* GREFFIER_DATABASE_URL .* GREFFIER_SECRET .* must"):
        for_many_processes(read_settings(HOME), signs=True)
    shared = {
        "GREFFIER_REDIS_URL": "redis://redis.example",
        "GREFFIER_DATABASE_URL": "postgresql://db.example/greffier",
    }
    settings = read_settings(HOME | shared)
    assert for_many_processes(settings, signs=False) == "redis://redis.example"
    with pytest.raises(InvalidSetting, match=r"^GREFFIER_SECRET"):
        for_many_processes(settings, signs=True)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://anne:s3cret@db.example:5432/greffier",
        "postgresql://anne:s3%40cret%2F@[fd00::7]/greffier?sslmode=verify-full&sslrootcert=/etc/ca.pem",
        "postgres://db.example/greffier",
        "postgresql+psycopg://anne@/greffier?host=/run/postgresql",
        "postgresql://anne@/greffier?host=one:5432&host=two:5432&target_session_attrs=read-write",
    ],
)
def test_meetings_may_be_kept_in_postgresql(url: str) -> None:
    assert read_settings(HOME | {"GREFFIER_DATABASE_URL": url}).database_url == url


@pytest.mark.parametrize(
    ("environ", "cache"),
    [
        ({"HOME": "/h"}, "/h/.cache/greffier"),
        ({"HOME": "/h", "XDG_CACHE_HOME": "/x"}, "/x/greffier"),
        ({"HOME": "/h", "XDG_CACHE_HOME": "relative"}, "/h/.cache/greffier"),
        ({"HOME": "/h", "XDG_CACHE_HOME": "/x", "GREFFIER_CACHE": "/g"}, "/g"),
        ({"HOME": "/h", "GREFFIER_CACHE": "~/g"}, "/h/g"),
        ({"GREFFIER_CACHE": "g"}, str(Path.cwd() / "g")),
        ({}, str(Path.home() / ".cache" / "greffier")),
    ],
)
def test_the_cache_is_where_it_is_asked_for(environ: dict[str, str], cache: str) -> None:
    assert read_settings(environ).cache == Path(cache)


@pytest.mark.parametrize(
    ("environ", "home"),
    [
        ({"HOME": "/h", "XDG_DATA_HOME": "/x"}, "/x/greffier"),
        ({"HOME": "/h", "XDG_DATA_HOME": "relative"}, "/h/.local/share/greffier"),
        ({"HOME": "/h", "GREFFIER_HOME": "~/g"}, "/h/g"),
    ],
)
def test_what_must_not_be_lost_is_where_it_is_asked_for(environ: dict[str, str], home: str) -> None:
    settings = read_settings(environ)
    assert settings.home == Path(home)
    assert settings.database_url == f"sqlite:///{home}/greffier.db"


def test_a_name_that_means_nothing_is_told_with_the_nearest_that_does() -> None:
    settings = read_settings({**HOME, "GREFFIER_MODLE": "x", "GREFFIER_LANGUAGE": "fr", "OTHER": "y"})
    assert settings.unknown == (
        "GREFFIER_LANGUAGE means nothing to Greffier; the nearest name is GREFFIER_LANGUAGES",
        "GREFFIER_MODLE means nothing to Greffier; the nearest name is GREFFIER_MODEL",
    )


def test_the_languages_are_those_of_whisper() -> None:
    assert set(LANGUAGES) == set(_LANGUAGE_CODES)
    assert len(LANGUAGES) == len(set(LANGUAGES))


def test_languages_that_are_refused_are_named() -> None:
    with pytest.raises(ValueError, match="xx, klingon"):
        parse_languages("fr,xx,klingon")


def test_every_setting_is_explained_in_the_documentation() -> None:
    rows = (Path(__file__).parents[2] / "docs" / "settings.md").read_text().splitlines()
    for variable in VARIABLES:
        assert f"| `{variable.name}` | `{variable.default}` | {variable.allowed} | {variable.meaning} |" in rows
    assert sum(row.startswith("| `") for row in rows) == len(VARIABLES)
