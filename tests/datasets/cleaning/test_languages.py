from __future__ import annotations

import pytest

from helpers.base.errors import DataError
from helpers.datasets.cleaning import steps
from helpers.datasets.cleaning.languages import guess_language, table_language
from helpers.datasets.cleaning.run import run
from helpers.datasets.frame import make_table

GERMAN = [
    ("Wie lange dauert der Versand nach Österreich?", "Der Versand dauert drei bis fünf Werktage."),
    ("Kann ich meine Bestellung noch ändern?", "Ändern Sie die Bestellung einfach im Konto."),
    ("Welche Zahlungsarten gibt es bei Ihnen?", "Sie zahlen mit Karte oder auf Rechnung."),
    ("Wo finde ich meine Kundennummer?", "Ihre Kundennummer steht oben rechts auf der Rechnung."),
]
ENGLISH = ("How long does the shipping to my country take?", "It takes about a week in most cases.")


def kept(pairs: list[tuple[str, str]], **options: str) -> list[int]:
    table = make_table({"question": q, "answer": a} for q, a in pairs)
    return list(run([steps.language(**options)], table).table.index)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Mein Internet geht seit gestern nicht mehr, was soll ich tun?", "de"),
        ("Bonjour, je voudrais résilier mon contrat.", "fr"),
        ("My bill is wrong, I was charged £42 twice", "en"),
        ("Как мне сбросить пароль?", "ru"),
        ("如何重置密码？", "zh"),
        ("パスワードを変更したい", "ja"),
        ("چگونه رمز عبور خود را تغییر دهم؟", "ar"),
        ("ok thx", ""),
        ("", ""),
    ],
)
def test_languages_are_told_apart_offline(text: str, code: str) -> None:
    assert guess_language(text) == code


def test_the_language_of_the_table_is_taken_and_named() -> None:
    table = make_table({"question": q, "answer": a} for q, a in [*GERMAN, ENGLISH])
    result = run([steps.language()], table)
    assert result.rejected["reason"].to_dict() == {4: "the question is in another language (en)"}
    assert "the language is taken to be de" in result.notes[0]


def test_a_language_may_be_told() -> None:
    assert kept([*GERMAN, ENGLISH], wanted="en") == [4]
    assert kept([*GERMAN, ENGLISH], wanted="any") == [0, 1, 2, 3, 4]
    with pytest.raises(DataError, match="no language 'xx' is known"):
        kept([ENGLISH], wanted="xx")


def test_a_table_in_two_languages_is_asked_about() -> None:
    with pytest.raises(DataError, match=r"2 languages.*decide with language=") as raised:
        kept([*GERMAN, *([ENGLISH] * 5)])
    assert "en in 5" in str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        "چگونه رمز عبور خود را تغییر دهم؟",
        "如何重置密码？",
        "Miten voin nollata salasanani? Avaa sovellus ja valitse asetukset.",
        "Як мені змінити пароль у вашому застосунку?",
    ],
)
def test_any_language_is_kept_where_it_is_the_tables_own(text: str) -> None:
    assert kept([(f"{text} {n}", f"{n} {text}") for n in range(4)]) == [0, 1, 2, 3]
    assert kept([(text, text)] * 3, wanted="fa" if text.startswith("چ") else "any") == [0, 1, 2]


def test_short_texts_and_labels_lose_no_row() -> None:
    assert table_language(["", "ok", "7%"]).main == ""
    assert kept([("Is it free?", "Ja"), ("When?", "7 Uhr")]) == [0, 1]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("چگونه می‌توانم صورتحساب خود را در برنامه پرداخت کنم؟", "fa"),
        ("كيف يمكنني أن أدفع الفاتورة في التطبيق؟", "ar"),
        ("Як мені змінити пароль у вашому застосунку? Це можливо?", "uk"),
        ("Как мне изменить пароль в вашем приложении? Это возможно?", "ru"),
    ],
)
def test_a_script_of_several_languages_is_not_called_by_the_first(text: str, code: str) -> None:
    found = table_language([f"{text} {n}" for n in range(8)])
    assert found.main == code
    assert found.rows == {code: 8}
