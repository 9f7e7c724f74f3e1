"""Uploads in parts, where two things happen at once or the server was killed."""

from __future__ import annotations

import io
import threading

import pytest

from helpers.backend.protocol.errors import ApiError
from helpers.backend.protocol.schemas import UploadRequest
from helpers.backend.service.files import Files
from helpers.backend.service.limits import Limits
from helpers.backend.service.uploads import Uploads
from helpers.backend.storage.store import Store

ASKED = UploadRequest(bytes=3, filename="a", mime_type="text/plain", purpose="user_data")


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path)
    yield made
    made.close()


@pytest.fixture
def files(store):
    return Files(store, Limits())


@pytest.fixture
def uploads(store, files):
    return Uploads(store, files, Limits())


def test_an_upload_that_is_completed_twice_at_once_becomes_one_file(
    store, files, uploads, monkeypatch
):
    key = uploads.create(ASKED)["id"]
    part = uploads.add_part(key, io.BytesIO(b"abc"))["id"]
    add, refused = files.add, []

    def meanwhile(*args, **more):
        # Another request, which has a view of its own.
        other = uploads.of(store, files)
        thread = threading.Thread(target=lambda: refused.append(_refusal(other, key, part)))
        monkeypatch.setattr(files, "add", add)
        thread.start()
        thread.join()
        return add(*args, **more)

    monkeypatch.setattr(files, "add", meanwhile)
    done = uploads.complete(key, [part])
    assert [file["id"] for file in store.list("file")[0]] == [done["file"]["id"]]
    assert "is being completed already" in refused[0]


def _refusal(uploads, key, part):
    try:
        uploads.complete(key, [part])
    except ApiError as error:
        return str(error)
    return ""


def test_a_part_that_no_upload_names_goes_at_the_next_start(store, files, uploads):
    key = uploads.create(ASKED)["id"]
    kept = uploads.add_part(key, io.BytesIO(b"abc"))["id"]
    (store.files / "part_orphan").write_bytes(b"x")
    (store.files / "file-other").write_bytes(b"x")
    Uploads(store, files, Limits())
    assert {path.name for path in store.files.iterdir()} == {kept, "file-other"}


def test_a_part_that_arrives_while_its_upload_is_cancelled_leaves_nothing(
    store, uploads, monkeypatch
):
    key = uploads.create(ASKED)["id"]
    save = store.save_file

    def slowly(name, stream):
        uploads.cancel(key)
        return save(name, stream)

    monkeypatch.setattr(store, "save_file", slowly)
    with pytest.raises(ApiError, match="cancelled already"):
        uploads.add_part(key, io.BytesIO(b"abc"))
    assert list(store.files.iterdir()) == []


def test_a_file_whose_bytes_are_gone_is_not_found_and_can_be_deleted(store, files):
    key = files.add("a", "user_data", io.BytesIO(b"abc"))["id"]
    (store.files / key).unlink()
    with pytest.raises(ApiError) as caught:
        files.path(key)
    assert caught.value.status == 404
    assert files.delete(key)["deleted"]
    assert store.list("file") == ([], False)
