"""The course's chat text as a Jinja template, for trainers that render one.

For: the same tokens and targets elsewhere as in this course's trainer. Not for: the text
itself, see `helpers.base.chat_format` and `helpers.base.tool_format`, which it repeats.

    tokenizer.chat_template = chat_template(markers=False)
"""

from __future__ import annotations

from helpers.base.chat_format import DEFAULT_SYSTEM, END, START
from helpers.base.tool_format import CLOSE, HEAD, OPEN, TAIL


def chat_template(*, markers: bool) -> str:
    """The course's chat text as a Jinja template.

    Keys are looked up as `message['key']`: axolotl hands on those alone that it sees looked up so.
    With `markers`, what is learnt stands between generation marks: answers whose weight is not
    0, each with the mark that ends it. Tools follow the system message, as JSON.
    """
    begin, stop = ("{% generation %}", "{% endgeneration %}") if markers else ("", "")
    learnt = f"{begin}{_SAID}{END}{stop}"
    if markers:
        learnt = f"{{% if message['weight'] != 0 %}}{learnt}{{% else %}}{_SAID}{END}{{% endif %}}"
    return (
        "{% if messages[0]['role'] not in ('system', 'developer') %}"
        f"{START}system\n{DEFAULT_SYSTEM}{_OFFERED}{END}\n{{% endif %}}"
        "{% for message in messages %}"
        "{% set role = 'system' if message['role'] == 'developer' else message['role'] %}"
        "{% if role == 'tool' %}"
        # Answers of several tools in a row stand in one message of the user's, as Hermes has it.
        f"{{% if loop.previtem['role'] != 'tool' %}}{START}user\n"
        "{% else %}{{ '\n' }}{% endif %}"
        "<tool_response>{{ '\n' ~ message['content'] ~ '\n' }}</tool_response>"
        f"{{% if loop.last or loop.nextitem['role'] != 'tool' %}}{END}{{% endif %}}"
        "{% else %}"
        f"{START}{{{{ role }}}}\n"
        "{% if role == 'assistant' %}"
        f"{learnt}"
        f"{{% elif role == 'system' and loop.first %}}{{{{ message['content'] }}}}{_OFFERED}{END}"
        f"{{% else %}}{{{{ message['content'] }}}}{END}{{% endif %}}"
        "{% endif %}"
        "{% if not loop.last and (role != 'tool' or loop.nextitem['role'] != 'tool') %}"
        "{{ '\n' }}{% endif %}{% endfor %}"
        f"{{% if add_generation_prompt %}}{{{{ '\n{START}assistant\n' }}}}{{% endif %}}"
    )


_SAID = (
    "{{ message['content'] or '' }}"
    "{% for call in message['tool_calls'] or [] %}"
    "{% set f = call['function'] if 'function' in call else call %}"
    "{% if message['content'] or not loop.first %}{{ '\n' }}{% endif %}"
    f"{OPEN}{{{{ '\n' }}}}"
    '{"name": {{ f[\'name\'] | tojson }}, "arguments": '
    "{{ f['arguments'] if f['arguments'] is string else f['arguments'] | tojson }}}"
    f"{{{{ '\n' }}}}{CLOSE}{{% endfor %}}"
)
"""What an assistant says: its text, then its calls as `helpers.base.tool_format` writes them."""
_OFFERED = (
    "{% if tools %}"
    f"{{{{ {HEAD!r} }}}}"
    "{% for tool in tools %}"
    "{% set f = tool['function'] if 'function' in tool else tool %}"
    "{{ '\n' }}"
    '{"type": "function", "function": {"name": {{ f[\'name\'] | tojson }}'
    "{% for key in ('description', 'parameters') %}"
    "{% if f[key] is defined and f[key] is not none %}"
    ', "{{ key }}": {{ f[key] | tojson }}'
    "{% endif %}{% endfor %}{{ '}}' }}"
    "{% endfor %}"
    f"{{{{ {TAIL!r} }}}}"
    "{% endif %}"
)
"""The list of tools at the end of the first message."""
