"""What a start finds in the state folder."""

from __future__ import annotations

from helpers.backend.service.files import Files
from helpers.backend.service.limits import Limits
from helpers.backend.storage.store import Store


def test_what_a_killed_upload_left_is_swept_at_the_start(tmp_path):
    first = Store(tmp_path)
    first.write_file("file-a", b"whole")
    first.close()
    (first.files / ".file-b.x1.partial").write_bytes(b"half")
    second = Store(tmp_path)
    assert (second.files / ".file-b.x1.partial").exists(), "a server may be writing it"
    Files(second, Limits())
    assert [path.name for path in second.files.iterdir()] == ["file-a"]
    second.close()
