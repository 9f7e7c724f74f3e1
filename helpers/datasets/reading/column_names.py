"""The usual names of columns, in several languages, and what each means.

For: telling what a column means by its name, and a header from a row. Not for: what stands in
the column, see `column_kinds`.

    rank("answer", "Staff reply")      # a number: the lower, the surer; None: no such name
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from helpers.datasets.reading.source import words

NAMES = {
    "question": "question|questions|q|query|prompt|instruction|customer question|customer message|"
    "user message|request|ask|frage|fragen|anfrage|kundenfrage|pregunta|preguntas|domanda|"
    "pergunta|"
    "вопрос|質問|问题|問題|vraag|vragen|pytanie|fråga|spørgsmål|spørsmål|kysymys|otázka|kérdés|"
    "soru|întrebare|питання|ερώτηση|سؤال|שאלה|질문|câu hỏi|pertanyaan|प्रश्न|question text|input|"
    "user input|utterance|problem|issue|inquiry|enquiry|"
    "user|customer|kundenanfrage|vraagstelling|zapytanie|запрос|consulta",
    "body": "body|description|question body|ticket description|message|details|text|content|"
    "beschreibung|nachricht|descripción|descripcion|descrizione|sentence|anliegen|mensaje|email",
    "subject": "subject|title|ticket subject|question title|betreff|titel|asunto|oggetto|titre|"
    "objet|summary|ticket name|headline|überschrift",
    "context": "input|context|kontext",
    "answer": "answer|answers|a|response|responses|completion|output|reply|replies|antwort|"
    "antworten|respuesta|respuestas|réponse|reponse|risposta|resposta|ответ|回答|答案|antwoord|"
    "antwoorden|odpowiedź|svar|vastaus|odpověď|odpoveď|válasz|yanıt|cevap|răspuns|відповідь|"
    "απάντηση|إجابة|الجواب|תשובה|답변|대답|答え|答复|câu trả lời|jawaban|उत्तर|accepted answer|"
    "agent reply|agent answer|agent message|answer body|answer text|solution|lösung|"
    "solución|soluzione|resolution|target|assistant|agent",
    "intent": "intent|label|category|class|topic|tag|kategorie|thema|queue|type|labels|sentiment|"
    "kategorien|categoría|categoria|catégorie",
    "thread": "thread|thread id|ticket|ticket id|ticket number|conversation|conversation id|convo "
    "id|case|case id|case number|dialogue id|dialog id|chat id|session id|issue key|thread ts|"
    "vorgang|vorgangsnummer|ticketnummer|ticket nr|dialogue|element id|parent id|rid|issue id|"
    "request id|n ticket|numéro ticket|número de ticket|caso|zaak|zaaknummer|gesprek|zgłoszenie|"
    "numer zgłoszenia|sprawa|ärende|ärendenummer|sag|sagsnummer|sak|saksnummer|tapaus|"
    "tikettinumero|požadavek|tiket|jegy|hibajegy|talep|talep no|заявка|номер заявки|обращение|"
    "номер обращения|тикет|диалог|чат|звернення|αίτημα|チケットid|チケット番号|チケット|会話id|"
    "工单|工单号|工单编号|工單|会话id|티켓|티켓번호|문의번호|phiếu",
    "role": "role|author role|author type|sender type|user type|direction|inbound|incoming|"
    "is inbound|from customer|is customer|is agent|outbound|speaker|author|sender|from|who|nick|"
    "nickname|rolle|rol|rôle|papel|verfasser|autor|auteur|expéditeur|remitente|username|"
    "user name|author name|sender name|user|name|absender|author id|sender id|"
    "from id|user id|created by|sys created by|creator|poster|commenter|is requester|is staff|"
    "afzender|schrijver|autore|mittente|nadawca|författare|avsändare|forfatter|afsender|avsender|"
    "kirjoittaja|lähettäjä|odesílatel|szerző|feladó|yazan|gönderen|автор|отправитель|відправник|"
    "συντάκτης|αποστολέας|投稿者|送信者|発言者|作成者|发送者|发送人|角色|作者|발신자|작성자|"
    "người gửi",
    "text": "text|message|body|content|message body|comment|utterance|msg|body text|plain body|"
    "nachricht|mensaje|mensagem|inhalt|contenu|contenido|texte|texto|comment body|reply|"
    "text body|html body|bericht|inhoud|messaggio|testo|wiadomość|treść|meddelande|besked|melding|"
    "beskjed|viesti|zpráva|správa|üzenet|mesaj|сообщение|текст|повідомлення|μήνυμα|メッセージ|"
    "本文|"
    "内容|消息|內容|메시지|내용|tin nhắn|pesan|description|value",
    "time": "time|timestamp|date|created|created at|created time|sent|sent at|datetime|ts|datum|"
    "erstellt|erstellt am|zeit|fecha|hora|data|message time|create time|updated at|turn|turn id|"
    "sys created on|turn number|utterance index|sequence|seq|position|message date|date created|"
    "createddate|created date|sent date|tijd|aangemaakt|fecha y hora|data e hora|heure|"
    "data utworzenia|"
    "data wysłania|tid|tidpunkt|dato|oprettet|opprettet|päivämäärä|aika|päiväys|čas|dátum|időpont|"
    "tarih|zaman|дата|время|дата создания|час|ημερομηνία|ώρα|日時|日付|送信日時|時刻|时间|日期|"
    "發送時間|创建时间|발송시간|날짜|시간|작성일|ngày|waktu|tanggal",
    "system": "system|system prompt",
}
"""Usual names for each meaning, without case and punctuation."""

_WORDS = {
    "question": words(
        "question questions frage query request anfrage pregunta demande domanda pergunta vraag "
        "pytanie fråga"
    ),
    "answer": words(
        "answer answers antwort reply response respuesta réponse reponse risposta resposta "
        "antwoord odpowiedź svar"
    ),
    "intent": words("intent category topic label"),
}
"""Words that tell the meaning of a longer name: "Staff reply"."""
# German joins words: Kundenfrage, Standardantwort.
_ENDINGS = {"question": ("frage", "fragen"), "answer": ("antwort", "antworten")}
ASKERS = {"customer", "client", "user", "kunde", "kunden", "visitor", "requester", "cliente"}
_ANSWERERS = {"agent", "support", "staff", "assistant", "operator", "bot", "employee"}
_SPOKEN = {"text", "message", "msg", "utterance", "said", "says", "turn", "mensaje", "nachricht"}
_ABOUT = frozenset(
    words(
        "id ids time times date count number nr by status name email mail score rating rate url "
        "link sla due duration length lang language hours hrs minutes mins seconds tokens user "
        "agent at to zeit dauer anzahl tiempo fecha durée datum status nummer temps délai statut "
        "numéro estado stato numero tempo ora tijd"
    )
)
"""With such a word a name tells something about a text, and is not the text."""
GENUINE = frozenset(
    words("question answer questions answers q a frage antwort prompt completion output")
)
"""Names that hold what they say, be it a number or a word."""
OFTEN_OTHER = frozenset(
    words("agent assistant target user customer resolution solution reply response type")
)
"""Names that often hold a person, a state or a time instead of a text."""
_NAME_WORDS = 4
"""With more words it is a sentence that ends in such a word, and no name."""
_SENTENCE = re.compile(r"[.?!]\s|[.?!]$|\S+(?:\s+\S+){5,}")


_USUAL = {
    # From behind, so that a name that is listed twice keeps its first place.
    meaning: {name: place for place, name in reversed([*enumerate(names.split("|"))])}
    for meaning, names in NAMES.items()
}


@lru_cache(maxsize=20_000)
def rank(meaning: str, name: str) -> int | None:
    """Place of a name in the list of a meaning's usual names; None if it is not there."""
    usual = _USUAL[meaning]
    plain = plain_name(name)
    if plain in usual:
        return usual[plain]
    # The last parts of a name with dots, which objects inside each other have.
    *_, last = parts = [plain_name(part) for part in name.split(".")]
    words = " ".join(parts[-2:]).split()
    if not 0 < len(words) <= _NAME_WORDS:
        return None
    # "question title" is a part of a question, and a question of its own only by its usual name.
    if meaning == "question" and words[-1] in ("title", "body", "subject", "description"):
        return None
    about = _ABOUT & set(words)
    # "user question": the speaker is no word about the text when the text is named beside it.
    if {words[0], words[-1]} & set(_WORDS.get(meaning, ())):
        about -= {"user", "agent"}
    if meaning in ("question", "answer", "body", "subject", "text") and about:
        return _rank_of_speaker(meaning, words, len(usual))
    if last != plain and last in usual:
        return usual[last] + 1
    if words[-1] in _WORDS.get(meaning, ()) or words[0] in _WORDS.get(meaning, ()):
        return len(usual)
    if words[-1].endswith(_ENDINGS.get(meaning, ("\0",))):
        return len(usual)
    if len(words) > 1 and meaning in ("body", "subject") and words[-1] in [*usual][-2:]:
        return len(usual)
    return _rank_of_speaker(meaning, words, len(usual))


def _rank_of_speaker(meaning: str, words: Sequence[str], rank: int) -> int | None:
    """A name such as "customer_text" or "agent message"."""
    if words[-1] not in _SPOKEN:
        return None
    speakers = {"question": ASKERS, "answer": _ANSWERERS}.get(meaning, set())
    return rank if speakers & set(words[:-1]) else None


@lru_cache(maxsize=20_000)
def plain_name(name: str) -> str:
    """A name without case and punctuation, its words with one blank between."""
    # "createdAt" is two words.
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return " ".join(re.findall(r"[^\W_]+", spaced.lower()))


def looks_like_header(cells: Sequence[str]) -> bool:
    """Whether a first row names columns: a known name in it, or no sentence and no gap."""
    filled = [cell.strip() for cell in cells]
    if names_a_meaning(filled):
        return True
    distinct = len(set(filled)) == len(filled) and all(filled)
    return distinct and not any(_SENTENCE.search(cell) for cell in filled)


def names_a_meaning(cells: Sequence[str]) -> bool:
    """Whether one of the cells is a usual name of a column."""
    return any(rank(meaning, cell) is not None for meaning in NAMES for cell in cells)


def names_a_pair(cells: Sequence[str]) -> bool:
    """Whether one of the cells is a usual name of questions, and another one of answers.

    Words that stand in tables themselves, such as "customer" and "agent", are none here.
    """
    plain = {name for cell in cells if len(name := plain_name(cell)) > 1} - OFTEN_OTHER
    asked, said = (plain & _USUAL[meaning].keys() for meaning in ("question", "answer"))
    return bool(asked and said - asked)
