"""Who takes traces by OTLP over HTTP, as a collector does, on a free port of this machine."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

WAIT = 30.0


@dataclass(frozen=True, slots=True)
class TakenSpan:
    """``resource`` says who sent it; ids are hexadecimal, ``parent`` is empty for the first of a trace."""

    name: str
    trace: str
    id: str
    parent: str
    seconds: float
    attributes: dict[str, object]
    resource: dict[str, object]
    failed: bool


@dataclass(slots=True)
class OtlpReceiver:
    url: str
    spans: list[TakenSpan] = field(default_factory=list)
    paths: set[str] = field(default_factory=set)

    def named(self, name: str) -> list[TakenSpan]:
        return [span for span in self.spans if span.name == name]

    def wait_for(self, name: str) -> TakenSpan:
        until = time.monotonic() + WAIT
        while not (found := self.named(name)):
            assert time.monotonic() < until, f"no span {name} among {[span.name for span in self.spans]}"
            time.sleep(0.02)
        return found[0]

    def take(self, path: str, body: bytes) -> None:
        self.paths.add(path)
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            sender = _plain(resource.resource.attributes)
            for scope in resource.scope_spans:
                self.spans.extend(
                    TakenSpan(
                        span.name,
                        span.trace_id.hex(),
                        span.span_id.hex(),
                        span.parent_span_id.hex(),
                        (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
                        _plain(span.attributes),
                        sender,
                        span.status.code == span.status.STATUS_CODE_ERROR,
                    )
                    for span in scope.spans
                )


@contextmanager
def receiving_traces() -> Iterator[OtlpReceiver]:
    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.take(self.path, self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.end_headers()
            self.wfile.write(ExportTraceServiceResponse().SerializeToString())

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Taking) as server:
        receiver = OtlpReceiver(f"http://127.0.0.1:{server.server_address[1]}")
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            serving.join()


def _plain(attributes: object) -> dict[str, object]:
    found: dict[str, object] = {}
    for each in attributes:  # type: ignore[attr-defined]
        kind = each.value.WhichOneof("value")
        found[each.key] = getattr(each.value, kind)
    return found
