"""Files under keys, in a bucket of any S3: Outscale's, Ceph, MinIO, Amazon's.

Spoken by object_store, Apache's library for it (obstore for Python). It signs with the region, names the bucket in the
path or the host, and uses what every S3 has: PUT, GET, LIST, DELETE and uploads in parts.
"""

import asyncio
import re
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from pipeline.errors import NotFound, StorageFailed, StorageFull
from pipeline.store import disk
from pipeline.store.keys import checked_key

if TYPE_CHECKING:
    from obstore import Attributes
    from obstore.store import ClientConfig, RetryConfig, S3Credential

_PART = 8 * 2**20
"""Bytes of one part of a large file: S3 takes 10,000 parts, so 80 GB."""
_PARTS_AT_ONCE = 2
_CONNECT, _SILENCE, _WHOLE = timedelta(seconds=5), timedelta(seconds=30), timedelta(hours=1)
"""Until a connection stands; without a byte of an answer, or for one part to go; for one request with its answer."""
_PATIENCE = timedelta(seconds=10)
"""Nothing is tried again after that: whoever calls knows better what to do."""
_TYPES = {"json": "application/json", "ogg": "audio/ogg"}
_CODE = re.compile(r"<Code>(\w+)</Code>")
_STATUS = re.compile(r"non-2xx status code: (\d{3})")
_FULL = re.compile("Quota|StorageFull|InsufficientStorage|507")
_REFUSED = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied", "401", "403"}
_NO_BUCKET = "NoSuchBucket"
_REDIRECTED, _UNTRUSTED = "redirect without LOCATION", "InvalidCertificate"
_OTHER_REGION = {"AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect"}
_read = partial(disk.explained, "a file on its way to S3", "GREFFIER_HOME")
_write = partial(disk.explained, "a file on its way from S3", "TMPDIR")


class S3Objects:
    """An ``ObjectStore``; its keys are those of the bucket (``pipeline.store.keys``).

    A file of up to ``_PART`` bytes takes one request, a larger one is sent in parts. What is opened is fetched whole
    first, into an unnamed file. Connections are made at the first call and kept; nothing is to be closed. Raises
    ``StorageFailed`` when the bucket cannot be used, after ``_PATIENCE`` and one request at most.
    """

    def __init__(
        self,
        endpoint: str,
        bucket: str,
        key: str,
        secret: str,
        region: str = "us-east-1",
        *,
        path_style: bool = True,
        public_url: str | None = None,
    ) -> None:
        """``endpoint`` is the URL of the S3 without the bucket; ``key`` and ``secret`` sign.

        ``path_style`` names the bucket in the path, else it stands before the host. ``public_url`` is the ``endpoint``
        as those reach it who follow a ``link``.
        """
        self._endpoint, self._bucket = endpoint, bucket
        credential: S3Credential = {
            "access_key_id": key,
            "secret_access_key": secret,
            "token": None,
            "expires_at": None,
        }
        client: ClientConfig = {
            "connect_timeout": _CONNECT,
            "read_timeout": _SILENCE,
            "timeout": _WHOLE,
        }
        retries: RetryConfig = {"retry_timeout": _PATIENCE}

        def store(url: str) -> S3Store:
            # What is not said here it takes from AWS_* variables of other tools: where and as whom is said.
            return S3Store(
                bucket,
                aws_endpoint_url_s3=url if path_style else url.replace("://", f"://{bucket}.", 1),
                region=region,
                virtual_hosted_style_request=not path_style,
                skip_signature=False,
                disable_bulk_delete=True,
                credential_provider=lambda: credential,
                client_options={**client, "allow_http": url.startswith("http:")},
                retry_config=retries,
            )

        self._store = store(endpoint)
        self._links = None if public_url is None else store(public_url)

    async def put(self, key: str, content: bytes | BinaryIO) -> None:
        checked_key(key)
        attributes: Attributes = {"Content-Type": _TYPES.get(key.rpartition(".")[2], "application/octet-stream")}
        if isinstance(content, bytes):
            await self._put_whole(key, content, attributes)
        elif len(first := await _piece(content)) < _PART:
            await self._put_whole(key, first, attributes)
        else:
            await self._put_parts(key, _Parts(first, content), attributes)

    async def open(self, key: str) -> BinaryIO:
        checked_key(key)
        with _write():
            file = await asyncio.to_thread(tempfile.TemporaryFile)
        try:
            with self._explained():
                await self._fetch(key, file)
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return file

    async def link(self, key: str, seconds: float) -> str | None:
        """A signed URL by which anybody may read what is under ``key`` for so long: given to one, and never logged.

        None where S3 cannot be reached from outside. Raises ``NotFound``.
        """
        checked_key(key)
        if self._links is None:
            return None
        with self._explained():
            with _found(key):
                await self._store.head_async(key)
            return await obstore.sign_async(self._links, "GET", key, timedelta(seconds=seconds))

    async def delete_prefix(self, prefix: str) -> None:
        below = checked_key(prefix.removesuffix("/"))
        with self._explained():
            await self._store.delete_async(below)
            async for found in self._store.list(below):
                await self._store.delete_async([each["path"] for each in found])

    async def _put_whole(self, key: str, content: bytes, attributes: "Attributes") -> None:
        with self._explained():
            await self._store.put_async(key, content, attributes=attributes, use_multipart=False)

    async def _put_parts(self, key: str, parts: "_Parts", attributes: "Attributes") -> None:
        """Nobody sees anything of a file before its last part is there; where one fails, those sent are removed.

        One that is under way then may stay behind, as S3 says of AbortMultipartUpload.
        """
        try:
            with self._explained():
                await self._store.put_async(
                    key, parts.read(), attributes=attributes, chunk_size=_PART, max_concurrency=_PARTS_AT_ONCE
                )
        except StorageFailed:
            if parts.failure is not None:
                raise parts.failure from None
            raise

    async def _fetch(self, key: str, file: BinaryIO) -> None:
        with _found(key):
            found = await self._store.get_async(key)
        async for piece in found.stream():
            with _write():
                await asyncio.to_thread(file.write, piece)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """What S3 says may quote the request, with its key and signature: it is neither shown nor kept as a cause."""
        try:
            yield
        except FileNotFoundError:
            raise self._failure(_NO_BUCKET) from None
        except BaseError as error:
            raise self._failure(_said(error)) from None

    def _failure(self, said: str | None) -> StorageFailed:
        """For what S3 said, None where it said nothing that can be understood."""
        if said is not None and _FULL.search(said):
            return StorageFull(
                f"S3 at {self._endpoint} has no room left in the bucket {self._bucket} ({said}): free some"
            )
        if said is None:
            why = "cannot be reached or does not answer: see GREFFIER_S3_ENDPOINT_URL"
        elif said == _UNTRUSTED:
            why = "has a certificate that is not trusted: SSL_CERT_FILE may name its authority"
        elif said == _NO_BUCKET:
            why = f"has no bucket {self._bucket}: make it, or see GREFFIER_S3_BUCKET"
        elif said in _OTHER_REGION:
            why = f"is of another region ({said}): see GREFFIER_S3_REGION"
        elif said in _REFUSED:
            why = (
                f"refuses ({said}): see GREFFIER_S3_ACCESS_KEY_ID, GREFFIER_S3_SECRET_ACCESS_KEY "
                f"and what that key may do in the bucket {self._bucket}"
            )
        else:
            why = f"does not do what it is asked ({said}): see its log"
        return StorageFailed(f"S3 at {self._endpoint} {why}")


@contextmanager
def _found(key: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        if _said(error) == _NO_BUCKET:
            raise
        raise NotFound(f"nothing is kept under {key}") from None


@dataclass(slots=True)
class _Parts:
    """A large file in pieces of ``_PART``, ``first`` and then what ``rest`` holds; ``failure`` is why it broke off."""

    first: bytes
    rest: BinaryIO
    failure: StorageFailed | None = None

    async def read(self) -> AsyncIterator[bytes]:
        piece = self.first
        try:
            while piece:
                yield piece
                piece = await _piece(self.rest)
        except StorageFailed as failure:
            self.failure = failure
            raise


async def _piece(content: BinaryIO) -> bytes:
    """The next ``_PART`` bytes; fewer at the end of the file."""
    with _read():
        return await asyncio.to_thread(_read_fully, content)


def _read_fully(content: BinaryIO) -> bytes:
    pieces, wanted = [], _PART
    while wanted and (piece := content.read(wanted)):
        pieces.append(piece)
        wanted -= len(piece)
    return b"".join(pieces)


def _said(error: Exception) -> str | None:
    """The code of an answer, else its status (docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html)."""
    said = str(error)
    if _REDIRECTED in said:  # a 301 of S3, whose answer is not read
        return "PermanentRedirect"
    if _UNTRUSTED in said:
        return _UNTRUSTED
    found = _CODE.search(said) or _STATUS.search(said)
    return None if found is None else found[1]
