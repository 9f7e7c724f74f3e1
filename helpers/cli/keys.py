"""`keys`: who may use a server that several people share; each has what is theirs alone.

python3 -m helpers keys add anna        # the last line is the key, shown this once
python3 -m helpers keys list
python3 -m helpers keys revoke anna
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from helpers.base import settings
from helpers.base.errors import CourseError

if TYPE_CHECKING:
    from helpers.backend.storage.keys import Keys


def run(root: Path, options: argparse.Namespace) -> int:
    """Add, list or revoke keys of this state folder; a running server knows it at once."""
    from helpers.backend.storage.keys import Keys
    from helpers.backend.storage.store import Store, database_of

    if options.action != "list" and not options.name:
        raise CourseError("whose key?", fix=f"run: python3 -m helpers keys {options.action} NAME")
    # Beside a running server: both open the same table, which is made for that.
    config = settings.load()
    store = Store(config.state, database_of(config))
    try:
        keys = Keys(store)
        if options.action == "add":
            secret = keys.add(options.name)
            print(f"The key of {options.name}. It is shown this once: only its hash is kept.")
            print(secret)
        elif options.action == "revoke":
            keys.revoke(options.name)
            print(f"{options.name} has no key any more. What was made with it stays.")
        else:
            _show(keys)
    finally:
        store.close()
    return 0


def _show(keys: Keys) -> None:
    found = keys.all()
    for key in found:
        made = time.strftime("%Y-%m-%d %H:%M", time.localtime(key.created_at))
        print(f"{key.name:24} made {made}, ends in …{key.end}")
    if not found:
        print("No keys: only the token of this state folder opens the server.")
