"""What a module's docstring shows is Python that fits the code: names, arguments, attributes.

Read from the source alone, so that nothing heavy is imported. A lower-case name that nothing
defines is a value of the reader's own; what is called must exist.
"""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.places import ROOT, tree

HELPERS = ROOT / "helpers"
BLOCK = re.compile(r"(?:^    .*\n|^\n(?=    ))+", re.MULTILINE)
TABLE = re.compile(r"\S+ {2,}\S.*|\s+\S.*")
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Source:
    """The top level of one module: what it defines, imports and assigns."""

    name: str
    tree: ast.Module
    defined: dict[str, Definition] = field(default_factory=dict)
    imported: dict[str, str] = field(default_factory=dict)
    assigned: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        for node in self.tree.body:
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    self.imported[alias.asname or alias.name] = f"{node.module}.{alias.name}"
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    self.imported[alias.asname or alias.name.split(".")[0]] = alias.name
            elif isinstance(node, Definition):
                self.defined[node.name] = node
            for target in _targets(node):
                self.assigned.add(target)


def _targets(node: ast.AST) -> Iterator[str]:
    targets = getattr(node, "targets", None) or [getattr(node, "target", None)]
    for target in targets:
        if target is not None:
            yield from (one.id for one in ast.walk(target) if isinstance(one, ast.Name))


@functools.cache
def sources() -> dict[str, Source]:
    found = {}
    for path in sorted(HELPERS.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = Source(name, tree(path))
    return found


Found = tuple[Source, Definition]


class Reader:
    """Looks names up in the library as a reader of a docstring would."""

    def __init__(self, known: dict[str, Source]) -> None:
        self.known = known
        self.everywhere: dict[str, list[Found]] = {}
        self.members: dict[Definition, set[str] | None] = {}
        for source in known.values():
            for name, node in source.defined.items():
                if not name.startswith("_"):
                    self.everywhere.setdefault(name, []).append((source, node))

    def find(self, source: Source, name: str) -> Found | None:
        """The definition that a module means by a name; else the only one of the library."""
        if name in source.defined:
            return source, source.defined[name]
        module, _, attribute = source.imported.get(name, "").rpartition(".")
        if module in self.known:
            return self.find(self.known[module], attribute)
        places = self.everywhere.get(name, [])
        return places[0] if len(places) == 1 and name not in source.imported else None

    def exists(self, source: Source, name: str) -> bool:
        return (
            name in source.defined
            or name in source.imported
            or name in source.assigned
            or name in self.everywhere
            or hasattr(builtins, name)
        )


def blocks(docstring: str) -> list[str]:
    found = [textwrap.dedent(block).strip("\n") for block in BLOCK.findall(docstring + "\n")]
    return [block for block in found if not _is_table(block.splitlines())]


def _is_table(lines: list[str]) -> bool:
    """Words and what they mean, in two columns: no example."""
    return len(lines) > 3 and all(map(TABLE.fullmatch, lines))


def problems(reader: Reader, source: Source) -> list[str]:
    """What does not fit in the examples of one module."""
    wrong = []
    for block in blocks(ast.get_docstring(source.tree) or ""):
        if shell := re.match(r"python3? -m (helpers[\w.]*)", block):
            if shell[1] not in reader.known:
                wrong.append(f"no module {shell[1]}")
            continue
        try:
            tree = ast.parse(block)
        except SyntaxError as error:
            wrong.append(f"is not Python: {error}: {block!r}")
            continue
        wrong += Check(reader, source, tree).wrong
    return wrong


class Check:
    """One example, read from top to bottom."""

    def __init__(self, reader: Reader, source: Source, tree: ast.Module) -> None:
        self.reader, self.wrong = reader, []
        self.source = Source(source.name, tree)
        # An example may import for itself; what it does not, it means as its module does.
        self.source.imported = source.imported | self.source.imported
        self.source.defined = source.defined | self.source.defined
        self.source.assigned = source.assigned
        self.own = {name for node in ast.walk(tree) for name in _targets(node)}
        self.own |= {arg.arg for arg in ast.walk(tree) if isinstance(arg, ast.arg)}
        self.own |= {
            name.id
            for item in ast.walk(tree)
            if isinstance(item, ast.withitem) and item.optional_vars
            for name in ast.walk(item.optional_vars)
            if isinstance(name, ast.Name)
        }
        self.types: dict[str, Found] = {}
        for statement in tree.body:
            self._take(statement)

    def _take(self, statement: ast.stmt) -> None:
        for node in ast.walk(statement):
            if isinstance(node, ast.Call):
                self._call(node)
            elif isinstance(node, ast.Attribute):
                self._attribute(node)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                self._name(node.id)
        if isinstance(statement, ast.Assign) and (made := self.type_of(statement.value)):
            self.types |= dict.fromkeys(_targets(statement), made)

    def _name(self, name: str) -> None:
        if not name[0].islower() and not self._is_known(name):
            self.wrong.append(f"{name} is nowhere")

    def _is_known(self, name: str) -> bool:
        return name in self.own or self.reader.exists(self.source, name)

    def _call(self, call: ast.Call) -> None:
        name = ast.unparse(call.func)
        found = self.callee(call.func)
        if found is None:
            if isinstance(call.func, ast.Name) and not self._is_known(name):
                self.wrong.append(f"{name}() is nowhere")
            return
        signature = self.signature(*found)
        if signature is None or any(isinstance(a, ast.Starred) for a in call.args):
            return
        words = {word.arg: None for word in call.keywords if word.arg}
        try:
            bind = signature.bind if all(w.arg for w in call.keywords) else signature.bind_partial
            bind(*call.args, **words)
        except TypeError as error:
            self.wrong.append(f"{ast.unparse(call)}: {error}")

    def _attribute(self, node: ast.Attribute) -> None:
        made = self.type_of(node.value)
        if made and (members := self.members(*made)) is not None and node.attr not in members:
            self.wrong.append(f"{made[1].name} has no {node.attr}")

    def callee(self, function: ast.expr) -> Found | None:
        if isinstance(function, ast.Name):
            return None if function.id in self.own else self.reader.find(self.source, function.id)
        if not isinstance(function, ast.Attribute):
            return None
        if isinstance(function.value, ast.Name):
            module = self.reader.known.get(self.source.imported.get(function.value.id, ""))
            if module and function.value.id not in self.own:
                return self.reader.find(module, function.attr)
        made = self.type_of(function.value)
        if made is None and isinstance(function.value, ast.Name):
            named = self.reader.find(self.source, function.value.id)
            made = named if named and isinstance(named[1], ast.ClassDef) else None
        return self.method(*made, function.attr) if made else None

    def method(self, source: Source, owner: Definition, name: str) -> Found | None:
        for node in owner.body:
            if isinstance(node, FUNCTIONS) and node.name == name:
                return source, node
        return None

    def type_of(self, value: ast.expr) -> Found | None:
        """The class of a value, where the code says it."""
        if isinstance(value, ast.Name):
            return self.types.get(value.id)
        if not isinstance(value, ast.Call) or not (found := self.callee(value.func)):
            return None
        source, node = found
        if isinstance(node, ast.ClassDef):
            return found
        plain = node.returns if isinstance(node.returns, ast.Name) else None
        made = self.reader.find(source, plain.id) if plain else None
        return made if made and isinstance(made[1], ast.ClassDef) else None

    def members(self, source: Source, owner: Definition) -> set[str] | None:
        """All attributes of a class; None where a base is not of this library."""
        if owner not in self.reader.members:
            self.reader.members[owner] = self._members(source, owner)
        return self.reader.members[owner]

    def _members(self, source: Source, owner: Definition) -> set[str] | None:
        names = {node.name for node in owner.body if isinstance(node, Definition)}
        names |= {name for node in ast.walk(owner) for name in _targets(node)}
        names |= {
            node.attr
            for node in ast.walk(owner)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "self"
        }
        for base in getattr(owner, "bases", []):
            found = self.reader.find(source, base.id) if isinstance(base, ast.Name) else None
            above = self.members(*found) if found else None
            if above is None:
                return None
            names |= above
        return names

    def signature(self, source: Source, node: Definition) -> inspect.Signature | None:
        if isinstance(node, FUNCTIONS):
            # A call on a value or a class leaves out the first parameter of a method.
            return _signature(node.args, skip=int(not self._is_top_level(source, node)))
        if made := self.method(source, node, "__init__"):
            return self.signature(*made)
        decorated = any("dataclass" in ast.unparse(one) for one in node.decorator_list)
        named = [ast.unparse(base) for base in node.bases] == ["NamedTuple"]
        return _fields(node) if (decorated and not node.bases) or named else None

    def _is_top_level(self, source: Source, node: Definition) -> bool:
        static = any(ast.unparse(one) == "staticmethod" for one in node.decorator_list)
        return source.defined.get(node.name) is node or static


def _signature(arguments: ast.arguments, *, skip: int) -> inspect.Signature:
    kinds = inspect.Parameter
    plain = [*arguments.posonlyargs, *arguments.args]
    optional = len(plain) - len(arguments.defaults)
    found = [
        kinds(
            one.arg,
            kinds.POSITIONAL_OR_KEYWORD,
            default=None if place >= optional else kinds.empty,
        )
        for place, one in enumerate(plain)
    ][skip:]
    if arguments.vararg:
        found.append(kinds(arguments.vararg.arg, kinds.VAR_POSITIONAL))
    for one, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        empty = kinds.empty if default is None else None
        found.append(kinds(one.arg, kinds.KEYWORD_ONLY, default=empty))
    if arguments.kwarg:
        found.append(kinds(arguments.kwarg.arg, kinds.VAR_KEYWORD))
    return inspect.Signature(found)


def _fields(owner: ast.ClassDef) -> inspect.Signature:
    kinds = inspect.Parameter
    kind = kinds.POSITIONAL_OR_KEYWORD
    found = []
    for node in owner.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            text = ast.unparse(node.value) if node.value else ""
            annotation = ast.unparse(node.annotation)
            if annotation == "KW_ONLY":
                kind = kinds.KEYWORD_ONLY
            elif "ClassVar" not in annotation and "init=False" not in text:
                given = None if text else kinds.empty
                found.append(kinds(node.target.id, kind, default=given))
    return inspect.Signature(found)


def test_every_example_of_a_module_fits_the_code():
    known = sources()
    reader = Reader(known)
    wrong = {name: found for name, source in known.items() if (found := problems(reader, source))}
    assert wrong == {}


WRONG = '''"""Nothing.

For: a test.

    {}
"""
import json
from dataclasses import dataclass

@dataclass
class Box:
    size: int
    def fill(self, what, *, twice=False): ...

def box(size, *, lid=False) -> Box: ...
'''


def found_in(example: str) -> list[str]:
    source = Source("helpers.wrong", ast.parse(WRONG.format(example)))
    return problems(Reader({"helpers.wrong": source}), source)


def test_examples_that_fit_pass():
    for example in (
        "box(3, lid=True).fill('a')",
        "made = box(size=mine)\n    made.fill(some, twice=True)\n    made.size",
        "with open(path) as stream:\n        json.loads(stream.read())",
        "Box(3).size        # 3",
        "box(*given)",
    ):
        assert found_in(example) == [], example


def test_an_example_that_does_not_fit_is_found():
    for example, word in (
        ("crate(3)", "nowhere"),
        ("Crate", "nowhere"),
        ("box()", "size"),
        ("box(3, True)", "too many"),
        ("box(3, cover=True)", "cover"),
        ("Box(3, 4)", "too many"),
        ("box(3).fill()", "what"),
        ("made = box(3)\n    made.width", "no width"),
        ("box(3", "not Python"),
        ("python -m helpers.nothing", "no module"),
    ):
        (wrong, *_) = found_in(example)
        assert word in wrong, example


def public_classes() -> dict[str, list[str]]:
    places: dict[str, list[str]] = {}
    for source in sources().values():
        for name, node in source.defined.items():
            if isinstance(node, ast.ClassDef) and not name.startswith("_"):
                places.setdefault(name, []).append(source.name)
    return places


def test_no_two_public_classes_have_one_name():
    assert {name: where for name, where in public_classes().items() if len(where) > 1} == {}


PROVIDER = re.compile(r"Larkwell|larkwell|555-0142|I can only help with")


def lines_of_the_provider(folder: Path) -> list[str]:
    return [
        f"{path.relative_to(folder)}:{number}"
        for path in sorted(folder.rglob("*.py"))
        if "support_desk" not in path.relative_to(folder).parts
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if PROVIDER.search(line)
    ]


def test_nothing_of_the_fictional_provider_stands_outside_support_desk(tmp_path):
    assert lines_of_the_provider(HELPERS) == []
    (tmp_path / "a.py").write_text('DECLINE = "call 555-0142"\n', encoding="utf-8")
    assert lines_of_the_provider(tmp_path) == ["a.py:1"]
