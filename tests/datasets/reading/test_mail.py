from __future__ import annotations

from pathlib import Path

import pytest

from helpers.base.errors import DataError
from helpers.datasets.reading.formats import read_source
from helpers.datasets.reading.to_examples import to_table

BOX = """From ann@example.com Fri Mar  1 10:00:00 2024
From: Shop <desk@shop.example>
To: ann@example.com
Subject: Re: Broken cup
Message-ID: <2@x>
In-Reply-To: <1@x>
Date: Fri, 1 Mar 2024 10:00:00 +0000

Hello Ann,

please do this:

- take a picture
- send it to us

On Fri, 1 Mar 2024 at 09:00, Ann <ann@example.com> wrote:
> It came broken.

From ann@example.com Fri Mar  1 09:00:00 2024
From: Ann <ann@example.com>
To: desk@shop.example
Subject: Broken cup
Message-ID: <1@x>
Date: Fri, 1 Mar 2024 09:00:00 +0000
Content-Type: text/html; charset=utf-8

<p>It came <b>broken</b>.</p>

From x Fri Mar  1 10:00:01 2024
From: ann@example.com
Subject: Out of office
Auto-Submitted: auto-replied
Message-ID: <3@x>
References: <1@x> <2@x>
Date: Fri, 1 Mar 2024 10:00:01 +0000

I am away.

"""


def test_a_mailbox_gives_threads_without_quotes_and_automatic_mails(tmp_path: Path) -> None:
    path = tmp_path / "desk.mbox"
    path.write_text(BOX)
    made = to_table(read_source(path))
    (question,), (answer,) = made.table["question"], made.table["answer"]
    assert question.split() == ["Broken", "cup", "It", "came", "broken", "."]
    assert answer == "Hello Ann,\n\nplease do this:\n\n- take a picture\n- send it to us"
    assert [(r.row, r.reason) for r in made.rejected] == [
        (3, "an automatic mail: Auto-Submitted auto-replied")
    ]


def test_a_mail_by_itself_answers_what_it_quotes(tmp_path: Path) -> None:
    path = tmp_path / "one.eml"
    path.write_bytes(
        b"From: Shop <desk@shop.example>\nSubject: =?utf-8?q?Re=3A_T=C3=BCr?=\n"
        b"Content-Type: text/plain; charset=iso-8859-1\n"
        b"Content-Transfer-Encoding: quoted-printable\n\n"
        b"Die T=FCr ist unterwegs.\n\nAm 01.03.2024 um 09:00 schrieb Ann:\n> Wo ist sie?\n"
    )
    made = to_table(read_source(path))
    assert list(made.table["question"]) == ["Wo ist sie?"]
    assert list(made.table["answer"]) == ["Die Tür ist unterwegs."]
    assert any(note.startswith("a guess: the mail that is quoted asks") for note in made.notes)


def test_a_file_without_mails_says_so(tmp_path: Path) -> None:
    path = tmp_path / "empty.mbox"
    path.write_text("nothing here")
    with pytest.raises(DataError, match="holds no mails"):
        read_source(path)


def test_a_line_that_begins_with_from_cuts_no_mail(tmp_path: Path) -> None:
    text = BOX.replace(
        "Hello Ann,", "Hello Ann,\n\nFrom what I see it is ours.\n>From here we pay."
    )
    path = tmp_path / "desk.mbox"
    path.write_text(text.replace("charset=utf-8", "charset=windows-874x"))
    made = to_table(read_source(path))
    assert "From what I see it is ours.\nFrom here we pay." in made.table["answer"].iloc[0]
