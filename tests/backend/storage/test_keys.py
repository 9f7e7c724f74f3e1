"""Keys are shown once, kept as hashes, and gone when they are revoked."""

from __future__ import annotations

import subprocess
import sys

import pytest

from helpers.backend.storage.keys import Keys
from helpers.backend.storage.store import Store
from helpers.base.errors import CourseError
from tests.places import ROOT


def test_a_key_stands_for_its_name_until_it_is_revoked(store):
    keys = Keys(store)
    anna, ben = keys.add("anna"), keys.add("ben@school")
    assert keys.owner_of(anna) == "key:anna"
    assert keys.owner_of(ben) == "key:ben@school"
    assert keys.owner_of(anna + "x") is None
    assert keys.owner_of("") is None
    keys.revoke("anna")
    assert keys.owner_of(anna) is None
    assert [key.name for key in keys.all()] == ["ben@school"]


def test_no_file_of_the_state_folder_holds_a_key(tmp_path):
    store = Store(tmp_path)
    secret = Keys(store).add("anna").encode()
    store.close()
    bodies = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert any(b"anna" in body for body in bodies)
    assert not [body for body in bodies if secret in body]


def test_a_name_that_could_be_misread_is_refused(store):
    for name in ("", "a b", "../x", "a" * 65, "key:anna", "anna\n"):
        with pytest.raises(CourseError, match="cannot be a name"):
            Keys(store).add(name)


def test_a_name_has_one_key(store):
    keys = Keys(store)
    first = keys.add("anna")
    with pytest.raises(CourseError, match="has a key already"):
        keys.add("anna")
    assert keys.owner_of(first)
    with pytest.raises(CourseError, match="has no key"):
        keys.revoke("ben")


def test_the_command_prints_the_key_as_its_last_line(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBOOK_STATE", str(tmp_path))

    def call(*words: str) -> tuple[int, str, str]:
        code = "from helpers.cli import keys; from argparse import Namespace as N; import sys; "
        code += "from helpers.__main__ import parser; from helpers.base.errors import CourseError\n"
        code += "try: sys.exit(keys.run(None, parser().parse_args(sys.argv[1:])))\n"
        code += "except CourseError as error: sys.exit(str(error))"
        command = [sys.executable, "-c", code, "keys", *words]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    code, out, _ = call("add", "anna")
    secret = out.splitlines()[-1]
    store = Store(tmp_path)
    assert (code, Keys(store).owner_of(secret)) == (0, "key:anna")
    code, out, _ = call("list")
    assert "anna" in out
    assert secret not in out
    assert call("add")[0] == 1
    assert "NAME" in call("revoke")[2]
    assert call("revoke", "anna")[0] == 0
    assert Keys(store).owner_of(secret) is None
    store.close()
