"""Who asks and who answers: the role that a name, an address or a flag stands for.

For: help desks and chats. Roles are told, known by their words, or found by who asks: who
begins conversations is a customer, who joins them answers. Not for: order and pairing, see
`conversations`.

    role_of("Customer A")                      # "user"
    find_roles([["Ann", "Shop"], ["Bob", "Shop"]], asks={}).of(0, "Ann")     # "user"
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from helpers.base.errors import Candidate, ChoiceNeeded
from helpers.base.remedies import argument

_USERS = (
    "user customer client requester visitor guest human contact enduser member patient kunde "
    "kundin incoming inbound lead buyer student tenant consumer reporter caller cliente besucher "
    "klant received in you prompter q v klientka kund asiakas zákazník zákaznik ügyfél vásárló "
    "müşteri клиент клиентка покупатель пользователь заявитель клієнт користувач πελάτης 顧客 客 "
    "お客様 お客さま ユーザー 用户 客户 顾客 用戶 客戶 고객 사용자 usuario usuário utilisateur "
    "utente "
    "gebruiker bruger bruker användare użytkownik uživatel felhasználó kullanıcı anwender nutzer "
    "khách pelanggan खरीदार ग्राहक عميل العميل לקוח interlocuteur demandeur solicitante richiedente"
)
_ASSISTANTS = (
    "assistant agent support staff operator bot helpdesk desk employee admin team gpt model "
    "mitarbeiter outgoing outbound shop store service servicedesk seller advisor technician "
    "chatgpt claude bing bard gemini ai chatbot representative rep soporte kundenservice sent out "
    "answerer teammate responder a medewerker operatore addetto assistente atendente agente "
    "asistente assistent asistent pracownik konsultant konsultantka doradca handläggare "
    "kundtjänst supportti asiakaspalvelu asiakaspalvelija pracovník operátor podpora ügyintéző "
    "ügyfélszolgálat temsilci destek оператор поддержка сотрудник ассистент менеджер агент "
    "підтримка "
    "працівник υποστήριξη 担当者 担当 オペレーター サポート アシスタント 店員 客服 坐席 助手 "
    "人工客服 "
    "상담원 상담사 직원 conseiller technicien conseillère técnico tecnico atención medarbejder "
    "kundeservice sælger myyjä satıcı сотрудница nhân_viên موظف الدعم נציג"
)
_SYSTEMS = "system developer"
USER_ROLES = frozenset([*_USERS.split(), "end-user"])
ASSISTANT_ROLES = frozenset(_ASSISTANTS.split())
_SHORT = frozenset(
    ["q", "a", "v", "客", "in", "out", "ai", "you", "rep", "member", "lead", "sent", "received"]
)
"""Words that tell a role only when they stand alone."""
_YES, _NO = frozenset(["true", "1", "yes", "y", "t"]), frozenset(["false", "0", "no", "n", "f"])
_ASKER_FLAG = re.compile(r"inbound|incoming|customer|client|requester|enduser|user|visitor")
_ANSWERER_FLAG = re.compile(r"outbound|outgoing|agent|staff|admin|support|operator|bot")
RARELY = 2
"""So many times as often as it begins one, staff joins a conversation that others began."""
_MOST_NAMES = 8
_AUTOMATIC = re.compile(
    r"(?:^|[\W_])(?:system|auto(?:mat\w*)?|workflows?|triggers?|rules?|no.?reply|mailer.daemon|"
    r"notifications?|postmaster|webhook|scheduler)(?:$|[\W_])"
)
"""Names of what is nobody."""


def role_of(name: Any, roles: Mapping[str, str] | None = None, column: str = "") -> str | None:
    """The role that a speaker's name stands for; None if it is unknown.

    `column` is the name of the role's column: in "inbound" a yes is a customer.
    """
    plain = str(name).strip()
    if roles and plain in roles:
        return roles[plain]
    lower = plain.lower()
    flagged = _flag(lower, column)
    if flagged:
        return flagged
    for role, words in (("user", USER_ROLES), ("assistant", ASSISTANT_ROLES)):
        if lower in words or lower.replace(" ", "").replace("-", "").replace("_", "") in words:
            return role
    if lower in _SYSTEMS.split():
        return "system"
    return None if _AUTOMATIC.search(lower) else _by_a_word(lower)


def _nobody(name: str) -> bool:
    return bool(_AUTOMATIC.search(name.lower()))


def _flag(lower: str, column: str) -> str | None:
    # "is_inbound", "isInbound" and "inbound" are one.
    plain = re.sub(r"[\W_]", "", column.lower()).removeprefix("is")
    if lower not in _YES | _NO:
        return None
    asks = bool(_ASKER_FLAG.search(plain))
    if not asks and not _ANSWERER_FLAG.search(plain):
        return None
    # A yes to "inbound" and a no to "outbound" are both the customer.
    return "user" if asks == (lower in _YES) else "assistant"


def _by_a_word(lower: str) -> str | None:
    """The role that the words of a longer name agree on: "Acme Support", "visitor 42"."""
    words = {re.sub(r"\d+$", "", word) for word in re.findall(r"[^\W_]+", lower)} - _SHORT
    # An address tells its role only by the desk's words: ann.agent@ may be anybody's name.
    if "@" in lower or len(words) > 4:
        words &= {"support", "helpdesk", "service", "kundenservice"} if "@" in lower else set()
    asks, answers = words & USER_ROLES, words & ASSISTANT_ROLES
    # "Customer Support" has a word of each.
    if asks and answers:
        return None
    return "user" if asks else "assistant" if answers else None


@dataclass(frozen=True)
class SpeakerRoles:
    """The role of each speaker in each conversation."""

    everywhere: Mapping[str, str]
    askers: Mapping[int, str] = field(default_factory=dict)
    """By conversation: who asks in it, where that is not the same everywhere."""
    notes: tuple[str, ...] = ()
    customers: frozenset[str] = frozenset()
    """Who asks in some conversation, where the staff is known: no staff in another one."""
    strict: bool = False
    """Whether names that are not in `everywhere` stay unknown."""

    def of(self, thread: int, name: str) -> str | None:
        """The role of a name in a conversation; None if it is unknown."""
        known = self.everywhere.get(name)
        if known or self.strict or not name or _nobody(name):
            return known
        if thread in self.askers:
            asks = self.askers[thread] == name or name in self.customers
            return "user" if asks else "assistant"
        return None


def find_roles(
    threads: Sequence[Sequence[str]],
    asks: Mapping[str, int],
    roles: Mapping[str, str] | None = None,
    column: str = "",
) -> SpeakerRoles:
    """Roles of all names; `threads` are the speakers of each conversation, in order.

    `asks` counts the questions of each. Where `roles` are told nothing else is guessed.
    Raises `ChoiceNeeded` where nothing tells who asks.
    """
    names = list(dict.fromkeys(name for thread in threads for name in thread))
    known = {name: role for name in names if (role := role_of(name, roles, column))}
    numbered = {name for name in known if re.search(r"\d$", name)}
    if not roles and len(numbered) > 1 and "assistant" not in known.values():
        # Where "user1" talks to "user2", the word tells nothing.
        known = {name: role for name, role in known.items() if name not in numbered}
    unknown = [name for name in names if name and name not in known and not _nobody(name)]
    if roles or not unknown:
        return SpeakerRoles(known, strict=True)
    return _by_who_asks(threads, asks, known, unknown)


def _by_who_asks(
    threads: Sequence[Sequence[str]],
    asks: Mapping[str, int],
    known: Mapping[str, str],
    unknown: Sequence[str],
) -> SpeakerRoles:
    heard = [
        [name for name in thread if known.get(name, "?") != "system" and not _nobody(name)]
        for thread in threads
    ]
    # Who begins conversations asks; who joins several that others began is one of the staff.
    begins = Counter(thread[0] for thread in heard if thread)
    joins = Counter(name for thread in heard if thread for name in set(thread) - {thread[0]})
    staff = {name for name in unknown if joins[name] > RARELY * begins[name] and joins[name] > 1}
    # A desk's staff speaks in most conversations; among equals those who never began one are some
    # guests, and whoever begins asks.
    if sum(not staff.isdisjoint(thread) for thread in heard) < len(heard) / 2:
        staff = set()
    askers: dict[int, str] = {}
    for place, thread in enumerate(heard):
        told = [name for name in thread if known.get(name) == "user"]
        if told or not thread:
            askers[place] = ""
            continue
        candidates = [name for name in thread if name not in staff and name not in known]
        if candidates:
            askers[place] = candidates[0]
    _ask_if_even(heard, begins, asks, known, unknown)
    shown = ", ".join(repr(name) for name in [*staff][:_MOST_NAMES] or unknown[:_MOST_NAMES])
    ground = (
        f"they join {sum(joins[name] for name in staff)} conversations "
        f"and begin {sum(begins[name] for name in staff)}"
        if staff
        else "who begins a conversation asks, who joins it answers"
    )
    answered = f"{shown} answer" if staff else f"roles of {shown} are found by who asks"
    decides = argument("roles", {"name": "user"})
    notes = (f"a guess about roles: {answered}; {ground}; decide with {decides}",)
    customers = frozenset(name for name in askers.values() if name and staff)
    everywhere = {**known, **dict.fromkeys(staff, "assistant")}
    return SpeakerRoles(everywhere, askers, notes, customers)


def _ask_if_even(
    heard: Sequence[Sequence[str]],
    begins: Counter[str],
    asks: Mapping[str, int],
    known: Mapping[str, str],
    unknown: Sequence[str],
) -> None:
    """Two people, and nothing tells which of them is the customer: ask."""
    if len(unknown) != 2 or set(known.values()) - {"system"}:
        return
    first, second = sorted(unknown, key=lambda name: -begins[name])
    total = begins[first] + begins[second]
    # With few conversations, chance may have let the staff begin one; with more it would be odd.
    even = total > 3 and begins[first] < 0.65 * total
    against = asks.get(second, 0) > asks.get(first, 0) and total < 4
    if not even and not against:
        return
    ways = [
        Candidate(
            {one: "user", other: "assistant"},
            f"{one!r} begins {begins[one]} of {total} conversations "
            f"and asks {asks.get(one, 0)} questions",
        )
        for one, other in ((first, second), (second, first))
    ]
    raise ChoiceNeeded("cannot tell who asks and who answers", argument="roles", candidates=ways)
