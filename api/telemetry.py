"""Traces on demand, by OpenTelemetry: of requests, of windows that are recognised, and of messages of dramatiq.

One of these messages is the offer by which a worker takes a meeting over. Ids only, never what was said or a name.

The standard variables say where they go (``OTEL_EXPORTER_OTLP_ENDPOINT``) and how many are kept
(``OTEL_TRACES_SAMPLER``); this module is loaded only where the first of them is set. pyannote's own telemetry has
nothing to do with it.
"""

import asyncio
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from dramatiq import Broker, Message, Middleware
from dramatiq.broker import MessageProxy
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import ASGIApp, Receive, Scope, Send

from pipeline.domain import Hypothesis, Samples, Window, WindowKind
from pipeline.errors import RecognitionFailed
from pipeline.ports import RecognitionRequest, Recognizer

_LAST_SPANS = 3.0
_UNTRACED = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked every few seconds."""
_SUBJECTS = {"live": "greffier.meeting", "batch": "greffier.recording"}
"""What the id is of that a message of each queue carries."""
_PROPAGATION = TraceContextTextMapPropagator()  # W3C Trace Context


class Traces:
    """Those of one process. Drop rule: of the spans that wait to be sent, the SDK keeps 2048, and drops new ones."""

    def __init__(self, endpoint: str, role: str, process: str | None) -> None:
        what = {"service.name": f"greffier-{role}", "service.version": version("greffier")}
        if process is not None:
            what["service.instance.id"] = process
        # Not the provider of the whole process: what other packages trace is their own.
        self._provider = TracerProvider(
            resource=Resource(what).merge(OTELResourceDetector().detect()), shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint}/v1/traces")))
        self._tracer = self._provider.get_tracer("greffier")

    def recognizer(self, recognizer: Recognizer) -> Recognizer:
        return _TracedRecognizer(recognizer, self._tracer)

    def app(self, app: ASGIApp) -> ASGIApp:
        return _TracedApp(app, self._tracer)

    def jobs(self, broker: Broker) -> None:
        """To be called once for the broker of a process."""
        broker.add_middleware(_TracedMessages(self._tracer))

    async def close(self) -> None:
        """Sends what waits, for 3 s at most."""
        done, loop = asyncio.Event(), asyncio.get_running_loop()

        def shut_down() -> None:
            self._provider.shutdown()
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(done.set)

        # A thread that keeps nobody: the SDK waits longer than that for a collector that is away.
        threading.Thread(target=shut_down, name="last-spans", daemon=True).start()
        try:
            async with asyncio.timeout(_LAST_SPANS):
                await done.wait()
        except TimeoutError:
            return


@dataclass(slots=True)
class _TracedRequest:
    """A ``RecognitionRequest`` that remembers when it was cut."""

    request: RecognitionRequest
    window: Window | None = None
    cut_at: int = 0

    @property
    def kind(self) -> WindowKind:
        return self.request.kind

    def cut(self) -> tuple[Window, Samples] | None:
        cut = self.request.cut()
        if cut is not None:
            self.window, self.cut_at = cut[0], time.time_ns()
        return cut


@dataclass(frozen=True, slots=True)
class _TracedRecognizer:
    """A span for each window: how long it waited for room, and how long it was recognised."""

    recognizer: Recognizer
    tracer: Tracer

    async def recognize(self, request: RecognitionRequest) -> tuple[Window, Hypothesis] | None:
        traced, asked_at = _TracedRequest(request), time.time_ns()
        try:
            answer = await self.recognizer.recognize(traced)
        except RecognitionFailed as failure:
            self._trace(traced, asked_at, failure)
            raise
        self._trace(traced, asked_at)
        return answer

    def _trace(self, request: _TracedRequest, asked_at: int, failure: RecognitionFailed | None = None) -> None:
        window = request.window
        if window is None:
            return  # it was no longer wanted
        whole = self.tracer.start_span(
            "window",
            Context(),  # the request in which a session began is long over
            attributes={
                "greffier.track": window.track,
                "greffier.utterance": window.utterance,
                "greffier.kind": request.kind.name.lower(),
                "greffier.seconds": round(window.end - window.start, 3),
            },
            start_time=asked_at,
        )
        inside, now = set_span_in_context(whole, Context()), time.time_ns()
        self.tracer.start_span("wait", inside, start_time=asked_at).end(request.cut_at)
        self.tracer.start_span("recognise", inside, start_time=request.cut_at).end(now)
        _finish(whole, failure, now)


@dataclass(frozen=True, slots=True)
class _TracedApp:
    """ASGI middleware: a span for each request, by the pattern of its path, which holds no ids and no tokens."""

    app: ASGIApp
    tracer: Tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _UNTRACED:
            await self.app(scope, receive, send)
            return
        status = 500

        async def noting(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        caller = _PROPAGATION.extract(headers, Context())
        method = scope["method"]
        with self.tracer.start_as_current_span(
            method,
            caller,
            SpanKind.SERVER,
            {"http.request.method": method},
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                await self.app(scope, receive, noting)
            finally:
                if route := getattr(scope.get("route"), "path", None):
                    span.update_name(f"{method} {route}")
                    span.set_attribute("http.route", route)
                span.set_attribute("http.response.status_code", status)
                if status >= 500:
                    span.set_status(StatusCode.ERROR)


@dataclass(slots=True)
class _TracedMessages(Middleware):
    """A span for each message that is processed, which goes on with the trace of the request that sent it."""

    tracer: Tracer
    under_way: dict[str, Span] = field(default_factory=dict)

    def before_enqueue(self, broker: Broker, message: "Message[Any]", delay: int) -> None:
        _PROPAGATION.inject(message.options)

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:
        about = {"messaging.destination.name": message.queue_name, "messaging.message.id": message.message_id}
        if message.queue_name in _SUBJECTS and message.args:
            about[_SUBJECTS[message.queue_name]] = str(message.args[0])
        caller = _PROPAGATION.extract(_texts(message.options), Context())
        self.under_way[message.message_id] = self.tracer.start_span(
            message.actor_name, caller, SpanKind.CONSUMER, about
        )

    def after_process_message(
        self,
        broker: Broker,
        message: MessageProxy,
        *,
        result: object = None,
        exception: BaseException | None = None,
    ) -> None:
        if span := self.under_way.pop(message.message_id, None):
            _finish(span, exception)

    def after_skip_message(self, broker: Broker, message: MessageProxy) -> None:
        self.after_process_message(broker, message)


def _finish(span: Span, failure: BaseException | None, at: int | None = None) -> None:
    """What the failure says may be about somebody: its kind must do."""
    if failure is not None:
        span.set_attribute("error.type", type(failure).__name__)
        span.set_status(StatusCode.ERROR)
    span.end(at)


def _texts(options: Mapping[str, object]) -> dict[str, str]:
    return {name: value for name, value in options.items() if isinstance(value, str)}
