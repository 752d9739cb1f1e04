"""The variables of the environment that Greffier reads, with what is said of them; ``api/settings.py`` reads them.

``docs/settings.md`` explains each; a test holds it complete.
"""

from dataclasses import dataclass

COMPUTE_TYPES = ("int8", "int8_float32", "int8_float16", "int8_bfloat16", "int16", "float16", "bfloat16", "float32")
_AGENT_NAME = "a name of letters, digits, dots, - and _"


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable of the environment; ``meaning`` is what ``greffier --help`` and the documentation say of it.

    The value of a ``secret`` one, which may hold a password, is shown nowhere.
    """

    name: str
    default: str
    allowed: str
    meaning: str
    secret: bool = False


MODEL = Variable(
    "GREFFIER_MODEL", "whisper-base", "a pinned name, a folder or a hub id", "The Whisper model that recognises speech."
)
DIARIZATION = Variable(
    "GREFFIER_DIARIZATION",
    "packaged",
    "packaged, speaker-diarization-community-1, or a folder of it",
    "What tells voices apart; packaged is pyannote's segmentation-3.0 with CAM++.",
)
DIARIZE_RECORDINGS = Variable(
    "GREFFIER_DIARIZE_RECORDINGS",
    "auto",
    "auto or never",
    "Whether voices that an uploaded recording mixes are told apart; auto: where the extra diarization is installed.",
)
SHARED_ROOMS = Variable(
    "GREFFIER_SHARED_ROOMS",
    "auto",
    "auto, marked or never",
    "Whose voices are told apart live: auto also looks for microphones that several people share and nobody marked.",
)
SETTLE = Variable(
    "GREFFIER_SETTLE",
    "auto",
    "auto or never",
    "Whether transcripts are settled after the meeting: who spoke at shared microphones, and what was said where sound "
    "was kept.",
)
DEVICE = Variable("GREFFIER_DEVICE", "auto", "auto, cpu or cuda", "Where the model runs; auto takes a GPU if any.")
COMPUTE_TYPE = Variable(
    "GREFFIER_COMPUTE_TYPE",
    "auto",
    f"auto or one of {', '.join(COMPUTE_TYPES)}",
    "The arithmetic of the model; auto is int8 on a CPU and float16 on a GPU.",
)
SPOKEN = Variable(
    "GREFFIER_LANGUAGES",
    "fr,en",
    "codes of languages that Whisper knows, such as fr or fr,en",
    "The languages that may be spoken, preferred first; with one alone, none is detected.",
)
CACHE = Variable(
    "GREFFIER_CACHE",
    "~/.cache/greffier",
    "a folder",
    "What is fetched or measured once: weights, the calibration of this machine. XDG_CACHE_HOME moves the default.",
)
THREADS = Variable(
    "GREFFIER_THREADS", "auto", "auto or a whole number from 1 to 256", "Threads of each recognition on a CPU."
)
BATCH = Variable(
    "GREFFIER_BATCH", "auto", "auto or a whole number from 1 to 256", "Windows that are recognised together at most."
)
STEP = Variable(
    "GREFFIER_STEP",
    "auto",
    "auto or seconds from 0.2 to 10",
    "How often each speaker's caption is renewed when there is time; it widens under load.",
)
POLICY = Variable(
    "GREFFIER_POLICY", "alignatt", "alignatt or local-agreement", "The rule that decides which words no longer change."
)
KYUTAI_URLS = Variable(
    "GREFFIER_KYUTAI_URLS",
    "none",
    "none or URLs such as ws://HOST:8080/api/asr-streaming, with commas between",
    "The moshi-servers that recognise French and English in live meetings, in place of the Whisper model.",
)
KYUTAI_KEY = Variable(
    "GREFFIER_KYUTAI_KEY", "none", "none or a key of letters, digits and signs", "What opens them.", secret=True
)
KYUTAI_SLOTS = Variable(
    "GREFFIER_KYUTAI_SLOTS",
    "64",
    "a whole number from 1 to 10000",
    "How many people this process may have recognised at once by each of them; batch_size there, if it is alone.",
)
KYUTAI_DELAY = Variable(
    "GREFFIER_KYUTAI_DELAY",
    "0.5",
    "seconds from 0.08 to 10",
    "The delay of their model; asr_delay_in_tokens there, of 0.08 s each.",
)
HOST = Variable(
    "GREFFIER_HOST",
    "127.0.0.1",
    "an address or a host name of this machine",
    "Where the server listens; anything but loopback asks everybody for a key.",
)
PORT = Variable("GREFFIER_PORT", "8642", "a whole number from 0 to 65535", "Its port; 0 takes any that is free.")
HOME = Variable(
    "GREFFIER_HOME",
    "~/.local/share/greffier",
    "a folder",
    "What must not be lost: meetings, recordings, the secret that signs tokens. XDG_DATA_HOME moves the default.",
)
DATABASE_URL = Variable(
    "GREFFIER_DATABASE_URL",
    "auto",
    "auto, sqlite:///PATH or postgresql://USER:PASSWORD@HOST:PORT/NAME",
    "Where meetings are kept; auto is greffier.db in GREFFIER_HOME.",
    secret=True,
)
REDIS_URL = Variable(
    "GREFFIER_REDIS_URL",
    "none",
    "none or redis://USER:PASSWORD@HOST:PORT/NUMBER, or rediss:// for TLS",
    "The Redis that gateway, worker and api share; serve does without.",
    secret=True,
)
SECRET = Variable(
    "GREFFIER_SECRET",
    "none",
    "none or 32 or more letters, digits and signs",
    "What tokens are signed with, the same for every gateway and api; serve makes its own in GREFFIER_HOME.",
    secret=True,
)
TALKERS = Variable(
    "GREFFIER_TALKERS",
    "auto",
    "auto or a whole number from 1 to 10000",
    "How many people may speak at once in the meetings of one worker; auto is what its calibration measured.",
)
S3_ENDPOINT = Variable(
    "GREFFIER_S3_ENDPOINT_URL",
    "none",
    "none or a URL such as https://HOST",
    "The S3 that takes files which others read; needs GREFFIER_S3_BUCKET and its two keys.",
)
S3_BUCKET = Variable("GREFFIER_S3_BUCKET", "none", "none or the name of a bucket", "The bucket for them.")
S3_KEY = Variable("GREFFIER_S3_ACCESS_KEY_ID", "none", "none or the id of a key of that S3", "Who writes there.")
S3_SECRET = Variable("GREFFIER_S3_SECRET_ACCESS_KEY", "none", "none or the secret of that key", "Its secret.")
S3_REGION = Variable(
    "GREFFIER_S3_REGION", "us-east-1", "a region such as eu-west-2", "Its region; many S3 want the right one."
)
S3_PATH_STYLE = Variable(
    "GREFFIER_S3_PATH_STYLE",
    "true",
    "true or false",
    "Whether the bucket is named in the path of its URLs, or before the host.",
)
S3_PUBLIC_URL = Variable(
    "GREFFIER_S3_PUBLIC_URL",
    "none",
    "none or a URL such as https://HOST",
    "That S3 as browsers reach it: kept sound is downloaded there by signed links; none sends it through the API.",
)
AWS_ENDPOINT = Variable(
    "AWS_S3_ENDPOINT_URL",
    "none",
    "none, HOST:PORT or a URL such as https://HOST",
    "Visio's name of GREFFIER_S3_ENDPOINT_URL.",
)
AWS_SECURE = Variable(
    "AWS_S3_SECURE_ACCESS",
    "false",
    "true or false",
    "Whether an AWS_S3_ENDPOINT_URL that is no URL is spoken to by https, or by http.",
)
AWS_BUCKET = Variable("AWS_STORAGE_BUCKET_NAME", "none", S3_BUCKET.allowed, "Visio's name of GREFFIER_S3_BUCKET.")
AWS_KEY = Variable("AWS_S3_ACCESS_KEY_ID", "none", S3_KEY.allowed, "Visio's name of GREFFIER_S3_ACCESS_KEY_ID.")
AWS_SECRET = Variable(
    "AWS_S3_SECRET_ACCESS_KEY", "none", S3_SECRET.allowed, "Visio's name of GREFFIER_S3_SECRET_ACCESS_KEY."
)
AWS_REGION = Variable("AWS_S3_REGION_NAME", "us-east-1", S3_REGION.allowed, "Visio's name of GREFFIER_S3_REGION.")
ICE_SERVERS = Variable(
    "GREFFIER_ICE_SERVERS",
    "none",
    "none or URLs such as stun:HOST:PORT or turn:USER:PASSWORD@HOST:PORT, with commas between",
    "How browsers and this server find a way to each other through firewalls; those who publish are told them.",
    secret=True,
)
UDP_PORTS = Variable(
    "GREFFIER_UDP_PORTS",
    "auto",
    "auto or a range such as 40000-40199",
    "The UDP ports by which browsers send sound (WHIP), one for each that publishes; auto takes any that is free.",
)
EMPTY_AFTER = Variable(
    "GREFFIER_EMPTY_AFTER",
    "600",
    "seconds from 1 to 86400",
    "How long nobody may be there, speaking, silent or reading, before a meeting ends by itself.",
)
HLS_HOLD_BACK = Variable(
    "GREFFIER_HLS_HOLD_BACK",
    "5",
    "seconds from 0 to 60",
    "How long after its end a segment of live captions is listed for players: longer leaves fewer phrases late.",
)
UPLOAD_LIMIT = Variable(
    "GREFFIER_UPLOAD_LIMIT", "2GiB", "bytes, or a number with KiB, MiB or GiB", "The largest recording that is taken."
)
ORIGINS = Variable(
    "GREFFIER_ORIGINS",
    "none",
    "none or origins such as https://HOST, with commas between",
    "Whose pages may call the API from a browser (CORS), with a token of their own.",
)
TOKEN_TTL = Variable(
    "GREFFIER_TOKEN_TTL",
    "3600",
    "seconds from 10 to 86400",
    "How long a token of a participant or a reader opens new connections.",
)
LIVEKIT_URL = Variable(
    "LIVEKIT_URL",
    "none",
    "none or a URL such as wss://HOST",
    "The LiveKit whose rooms are captioned; needs LIVEKIT_API_KEY and LIVEKIT_API_SECRET.",
)
LIVEKIT_API_KEY = Variable("LIVEKIT_API_KEY", "none", "none or a key of that LiveKit", "Its key.")
LIVEKIT_API_SECRET = Variable("LIVEKIT_API_SECRET", "none", "none or the secret of that key", "The secret of that key.")
TRANSCRIBER = Variable(
    "TRANSCRIBER_AGENT_NAME",
    "multi-user-transcriber",
    _AGENT_NAME,
    "The agent that LiveKit dispatches to caption a room.",
)
COLLECTOR = Variable(
    "METADATA_COLLECTOR_AGENT_NAME",
    "metadata-collector",
    _AGENT_NAME,
    "The agent that LiveKit dispatches to note who speaks when in a recording.",
)
COLLECTS = Variable(
    "METADATA_COLLECTOR_ENABLED", "true", "true or false", "Whether that second agent is there, where LiveKit is set."
)
METADATA_FOLDER = Variable(
    "AWS_S3_OUTPUT_FOLDER",
    "metadata",
    "a folder without dots at its beginning, such as metadata",
    "Where it writes, in the bucket or, without one, in GREFFIER_HOME/objects.",
)
PACKETS = Variable(
    "GREFFIER_LIVEKIT_CAPTIONS",
    "append",
    "append or in-place",
    "Transcription packets: final words one after the other, or a segment that is sent again as it grows.",
)
JANUS_URL = Variable(
    "GREFFIER_JANUS_URL",
    "none",
    "none or a URL such as ws://HOST:8188",
    "The WebSocket API of the Janus whose VideoRooms are captioned.",
)
JANUS_ROOMS = Variable(
    "GREFFIER_JANUS_ROOMS",
    "none",
    "none or ids of rooms, with commas between",
    "The rooms that are captioned whenever somebody is in them; others when the API says so.",
)
JANUS_SECRET = Variable("GREFFIER_JANUS_SECRET", "none", "none or a secret", "What opens its API (api_secret).")
JANUS_TOKEN = Variable("GREFFIER_JANUS_TOKEN", "none", "none or a token", "What opens its API (stored tokens).")
JANUS_PIN = Variable("GREFFIER_JANUS_PIN", "none", "none or a pin", "What lets into its rooms.")
TRACES = Variable(
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "none",
    "none or a URL such as http://HOST:4318",
    "Where traces go, by OpenTelemetry's protocol over HTTP; without it there are none.",
)
LIVEKIT = (LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET)
"""All or none of these are set."""
S3 = ((S3_ENDPOINT, AWS_ENDPOINT), (S3_BUCKET, AWS_BUCKET), (S3_KEY, AWS_KEY), (S3_SECRET, AWS_SECRET))
"""All or none of these are set, each by the first of its names that is."""
VARIABLES = (
    *(MODEL, DIARIZATION, DIARIZE_RECORDINGS, SHARED_ROOMS, SETTLE),
    *(DEVICE, COMPUTE_TYPE, SPOKEN, CACHE, THREADS, BATCH, STEP, POLICY),
    *(KYUTAI_URLS, KYUTAI_KEY, KYUTAI_SLOTS, KYUTAI_DELAY),
    *(HOST, PORT, HOME, DATABASE_URL, ICE_SERVERS, UDP_PORTS),
    *(EMPTY_AFTER, HLS_HOLD_BACK, UPLOAD_LIMIT, ORIGINS, TOKEN_TTL),
    *(REDIS_URL, SECRET, TALKERS),
    *(S3_ENDPOINT, S3_BUCKET, S3_KEY, S3_SECRET, S3_REGION, S3_PATH_STYLE, S3_PUBLIC_URL),
    *(AWS_ENDPOINT, AWS_SECURE, AWS_BUCKET, AWS_KEY, AWS_SECRET, AWS_REGION),
    *(*LIVEKIT, TRANSCRIBER, COLLECTOR, COLLECTS, METADATA_FOLDER, PACKETS),
    *(JANUS_URL, JANUS_ROOMS, JANUS_SECRET, JANUS_TOKEN, JANUS_PIN),
    TRACES,
)
