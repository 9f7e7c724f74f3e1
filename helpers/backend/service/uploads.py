"""Uploads in parts: begun, added to, and made one file, as `upload_file_chunked` does it.

For: the uploads API. Not for: files that come whole, see `helpers.backend.service.files`.

    upload = uploads.create(UploadRequest.model_validate(body))
    part = uploads.add_part(upload["id"], stream)
    uploads.complete(upload["id"], [part["id"]])["file"]
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from helpers.backend.protocol.errors import ApiError, not_found
from helpers.backend.protocol.schemas import UploadRequest, new_id
from helpers.backend.service.files import Files, check_purpose, too_large
from helpers.backend.service.limits import Limits
from helpers.backend.storage.store import Document, Store

LIFE = 3600
"""Seconds until an upload that nobody completed is dropped."""
CHUNK = 1 << 20


class Uploads:
    """What is on its way in parts."""

    def __init__(self, store: Store, files: Files, limits: Limits) -> None:
        self._store, self._files, self._limits = store, files, limits
        self._busy: set[str] = set()
        self._lock = threading.Lock()
        self._drop_orphans()

    def of(self, store: Store, files: Files) -> Uploads:
        """What another owner uploads; what is being completed is known to all together."""
        view = copy.copy(self)
        view._store, view._files = store, files  # noqa: SLF001 - its own class
        return view

    def create(self, body: UploadRequest) -> Document:
        """Begin one. Raises `ApiError` for a file that could not be kept at the end."""
        check_purpose(body.purpose)
        if body.bytes > self._limits.file_bytes:
            raise too_large(body.bytes, self._limits.file_bytes, param="bytes")
        self._drop_expired()
        now = int(time.time())
        upload: Document = {
            "id": new_id("upload_"),
            "object": "upload",
            "bytes": body.bytes,
            "created_at": now,
            "filename": body.filename,
            "purpose": body.purpose,
            "status": "pending",
            "expires_at": now + LIFE,
            "file": None,
            "_parts": {},
            "_seconds": body.expires_after.seconds if body.expires_after else None,
        }
        self._store.put("upload", upload["id"], upload)
        return upload

    def add_part(self, key: str, stream: BinaryIO) -> Document:
        """Take in a part; the order is settled when the upload is completed."""
        self._pending(key)
        part = new_id("part_")
        # The part is on disk before the upload names it; see `_drop_orphans`.
        with self._files.room_for(part, stream):
            size = self._store.save_file(part, stream)
            try:
                self._note(key, part, size)
            except BaseException:
                self._store.remove_file(part)
                raise
        return {
            "id": part,
            "object": "upload.part",
            "created_at": int(time.time()),
            "upload_id": key,
        }

    def _note(self, key: str, part: str, size: int) -> None:
        def note(body: Document) -> None:
            # It may have ended while the part arrived.
            _must_be_pending(body)
            body["_parts"][part] = size

        self._store.update("upload", key, note)

    def complete(self, key: str, parts: Sequence[str], md5: str | None = None) -> Document:
        """Make the parts, in this order, one file. Raises `ApiError` if they are not that file."""
        with self._alone(key):
            return self._complete(self._pending(key), parts, md5)

    def _complete(self, upload: Document, parts: Sequence[str], md5: str | None) -> Document:
        sizes: dict[str, int] = upload["_parts"]
        for part in parts:
            if part not in sizes or parts.count(part) > 1:
                raise _refused(f"The part {part!r} is not one of this upload, once.", "part_ids")
        total = sum(sizes[part] for part in parts)
        if total != upload["bytes"]:
            raise _refused(
                f"The parts have {total} bytes, and the upload was created for {upload['bytes']}.",
                "part_ids",
            )
        # Beside the files and not in the system's folder, which may be small or in memory.
        with tempfile.TemporaryFile(dir=self._store.root) as whole:
            for part in parts:
                with self._store.file(part).open("rb") as stream:
                    shutil.copyfileobj(stream, whole, CHUNK)
            _check_md5(whole, md5)
            # As any other file: its form and the limits are looked at there.
            file = self._files.add(
                upload["filename"], upload["purpose"], whole, seconds=upload["_seconds"]
            )
        # The parts go only now: after a failed check they may be completed again.
        self._end(upload, "completed")
        return self._store.update("upload", upload["id"], lambda body: body.update(file=file))

    def cancel(self, key: str) -> Document:
        """Drop an upload and its parts."""
        with self._alone(key):
            return self._end(self._pending(key), "cancelled")

    @contextlib.contextmanager
    def _alone(self, key: str) -> Iterator[None]:
        """End an upload once: two at the same time would make two files of it."""
        with self._lock:
            if key in self._busy:
                raise _refused(f"The upload {key} is being completed already.", "upload_id")
            self._busy.add(key)
        try:
            with self._store.alone(key) as alone:
                if not alone:
                    raise _refused(f"The upload {key} is being completed already.", "upload_id")
                yield
        finally:
            with self._lock:
                self._busy.remove(key)

    def _drop_orphans(self) -> None:
        """Remove parts that no upload names: the server was killed before it noted them."""
        uploads, _ = self._store.everyones().list("upload")
        named = {part for upload in uploads for part in upload["_parts"]}
        for path in self._store.files.glob("part_*"):
            if path.name not in named:
                path.unlink(missing_ok=True)

    def _pending(self, key: str) -> Document:
        self._drop_expired()
        upload = self._store.get("upload", key)
        if upload is None:
            raise not_found("Upload", key, "upload_id")
        _must_be_pending(upload)
        return upload

    def _end(self, upload: Document, status: str) -> Document:
        # The bytes before the document: killed in between, the document still names what to remove.
        for part in upload["_parts"]:
            self._store.remove_file(part)
        return self._store.update(
            "upload", upload["id"], lambda body: body.update(status=status, _parts={})
        )

    def _drop_expired(self) -> None:
        now = time.time()
        found, _ = self._store.list(
            "upload", keep=lambda body: body["status"] == "pending" and body["expires_at"] <= now
        )
        for upload in found:
            self._end(upload, "expired")


def _must_be_pending(upload: Document) -> None:
    if upload["status"] != "pending":
        raise _refused(f"The upload {upload['id']} is {upload['status']} already.", "upload_id")


def _check_md5(stream: BinaryIO, wanted: str | None) -> None:
    stream.seek(0)
    digest = hashlib.md5(usedforsecurity=False)
    # In blocks: an upload may be larger than the memory.
    while block := stream.read(CHUNK):
        digest.update(block)
    if wanted is not None and digest.hexdigest() != wanted.lower():
        raise _refused(f"The parts have the MD5 {digest.hexdigest()}, not {wanted}.", "md5")


def _refused(message: str, param: str) -> ApiError:
    return ApiError(400, message, param=param, code="invalid_upload")
