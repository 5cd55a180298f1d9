"""The text of a planned module, as ruff would format it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from sqlkit.generating.naming import Names
from sqlkit.generating.plan import (
    TYPE,
    UNCHANGED,
    Alias,
    ClassPlan,
    EnumPlan,
    FieldPlan,
    MethodPlan,
    ModulePlan,
    ParameterPlan,
    quoted,
)
from sqlkit.generating.sentences import docstring, method_sentences
from sqlkit.generating.silencing import for_argument, for_field, for_function, noqa

__all__ = ["Layout", "write_module"]

INDENT = "    "
THIRD_PARTY = ("pydantic",)


@dataclass(frozen=True, slots=True)
class Layout:
    """How a module is laid out.

    ``protocol`` and ``variable`` are the names of the Protocol and of what is loaded, ``colours`` which there are:
    sync, async or both. ``path`` is Python text that says where the ``.sql`` file is, ``file`` its name for docstrings.
    ``watched`` are the rules of ruff on names that are on there. ``own`` are the top-level packages of the project that
    the module is written for, ``reused`` the classes that are imported from elsewhere instead of being written, with
    their modules.
    """

    protocol: str
    variable: str
    path: str
    file: str
    colours: tuple[str, ...] = ("sync",)
    width: int = 88
    watched: frozenset[str] = frozenset()
    own: frozenset[str] = frozenset()
    reused: tuple[tuple[str, str], ...] = ()


def write_module(plan: ModulePlan, layout: Layout) -> str:
    """Return the module's text."""
    return _Writer(plan, layout).text()


@dataclass(slots=True)
class _Imports:
    """What is imported: names from modules, and modules as a whole where a name would be hidden.

    ``hidden`` are the names that mean something else in the class that is being written, ``avoided`` those that do so
    in any.
    """

    hidden: frozenset[str]
    avoided: frozenset[str]
    names: dict[str, set[str]] = field(default_factory=dict)
    modules: dict[str, str] = field(default_factory=dict)

    def use(self, name: str, module: str) -> str:
        """Return how a type is spelled, and import it."""
        if module == "" or (module == "builtins" and name not in self.hidden):
            return name
        if name in self.hidden:
            alias = self.modules.setdefault(module, self._alias(module))
            return f"{alias}.{name}"
        self.names.setdefault(module, set()).add(name)
        return name

    def _alias(self, module: str) -> str:
        alias = "dt" if module == "datetime" else module if "." not in module else f"{module.rpartition('.')[2]}_types"
        while alias in self.avoided:
            alias += "_"
        return alias

    def lines(self, own: frozenset[str], width: int) -> list[str]:
        """Return the lines, in the sections and the order of isort."""
        sections: dict[int, list[tuple[int, str, str]]] = {}
        for module, alias in self.modules.items():
            text = f"import {module}" if alias == module else f"import {module} as {alias}"
            sections.setdefault(_section(module, own), []).append((0, module.lower(), text))
        for module, names in self.names.items():
            text = _imported(module, names, width)
            sections.setdefault(_section(module, own), []).append((1, module.lower(), text))
        parts = ["\n".join(text for _, _, text in sorted(sections[number])) for number in sorted(sections)]
        return "\n\n".join(["from __future__ import annotations", *parts]).split("\n")


def _section(module: str, own: frozenset[str]) -> int:
    top = module.partition(".")[0]
    return 2 if top in own else 1 if top in ("sqlkit", *THIRD_PARTY) else 0


def _imported(module: str, names: Iterable[str], width: int) -> str:
    ordered = sorted(names, key=lambda name: (not name.isupper(), not name[:1].isupper(), name))
    line = f"from {module} import {', '.join(ordered)}"
    if len(line) <= width:
        return line
    return "\n".join([f"from {module} import (", *(f"{INDENT}{name}," for name in ordered), ")"])


class _Writer:
    def __init__(self, plan: ModulePlan, layout: Layout) -> None:
        self.plan = plan
        self.layout = layout
        # What the module loads would hide a type of the same name everywhere, a field or a method in its class.
        self.loaded = frozenset({layout.variable, f"async_{layout.variable}"})
        names = {part.name for each in plan.classes for part in each.fields} | {each.name for each in plan.methods}
        self.imports = _Imports(self.loaded, self.loaded | names)

    def text(self) -> str:
        for name, module in self.layout.reused:
            self.imports.names.setdefault(module, set()).add(name)
        parts = [
            *(self._enum(each) for each in self.plan.enums),
            *(self._class(each) for each in self.plan.classes),
            *(self._protocol(colour) for colour in self.layout.colours),
        ]
        constants = self._constants()
        loads = [self._load(colour) for colour in self.layout.colours]
        head = [f'"""The statements of ``{self.layout.file}``, typed."""', ""]
        head += self.imports.lines(self.layout.own, self.layout.width)
        # Constants stand close to the imports, classes two lines below.
        top = "\n".join([*head, "", *constants]) if constants else "\n".join(head)
        body = "\n\n\n".join([top, *parts])
        return body + "\n\n\n" + "\n".join(loads) + "\n"

    def spell(self, text: str) -> str:
        """Return an annotation or a default with its types as they are imported."""
        return TYPE.sub(lambda found: self.imports.use(found[2], found[1]), text)

    # What stands at the top.

    def _constants(self) -> list[str]:
        lines: list[str] = []
        for alias in self.plan.aliases:
            lines += [f"#: {alias.doc}", *self._alias(alias)]
        return ["\n".join(lines)] if lines else []

    def _alias(self, alias: Alias) -> list[str]:
        literal = self.spell("⟦typing.Literal⟧")
        labels = [quoted(label) for label in alias.labels]
        line = f"{alias.name} = {literal}[{', '.join(labels)}]"
        if len(line) <= self.layout.width:
            return [line]
        return [f"{alias.name} = {literal}[", *(f"{INDENT}{label}," for label in labels), "]"]

    def _enum(self, enum: EnumPlan) -> str:
        base = self.spell("⟦enum.StrEnum⟧")
        lines = [f"class {enum.name}({base}):", *self._doc(enum.doc), ""]
        lines += [f"{INDENT}{name} = {quoted(value)}" for name, value in enum.members]
        return "\n".join(lines)

    def _doc(self, doc: str) -> list[str]:
        first, _, rest = " ".join(doc.split()).partition(". ")
        first = first if first.endswith((".", "!", "?")) else f"{first}."
        return docstring(first, rest, INDENT, self.layout.width, "The columns of a row.")

    # Models.

    def _class(self, model: ClassPlan) -> str:
        # What changes something has the default and, unless it is a dataclass, the root that sqlkit.patches gives.
        changes = not model.dataclass and any(part.default == UNCHANGED for part in model.fields)
        config: list[str] = ['extra="forbid"'] if model.strict and not changes else []
        if any(part.alias for part in model.fields):
            config += ["validate_by_alias=True", "validate_by_name=True"]
        lines: list[str] = []
        if model.dataclass:
            given = self.spell("⟦pydantic.ConfigDict⟧") + f"({', '.join(config)})"
            lines.append(f"@{self.spell('⟦pydantic.dataclasses.dataclass⟧')}(config={given}, kw_only=True)")
            lines.append(f"class {model.name}:")
        else:
            root = "⟦sqlkit.patches.Changes⟧" if changes else "⟦pydantic.BaseModel⟧"
            lines.append(f"class {model.name}({self.spell(root)}):")
        lines += [*self._doc(model.doc), ""]
        self.imports.hidden = self.loaded | {part.name for part in model.fields}
        if config and not model.dataclass:
            lines += [f"{INDENT}model_config = {self.spell('⟦pydantic.ConfigDict⟧')}({', '.join(config)})", ""]
        for part in model.fields:
            first, *rest = self._field(part, dataclass=model.dataclass)
            lines += [first + self._silenced(for_field(part.name)), *rest]
        self.imports.hidden = self.loaded
        return "\n".join(lines)

    def _field(self, part: FieldPlan, *, dataclass: bool) -> list[str]:
        default = None if part.default is None else self.spell(part.default)
        arguments = [f"{name}={self.spell(value)}" for name, value in part.demands]
        if part.alias is not None:
            arguments.insert(0, f"validation_alias={quoted(part.alias)}")
        if dataclass and default in ("[]", "{}"):
            arguments.insert(0, f"default_factory={'list' if default == '[]' else 'dict'}")
            default = None
        head = f"{INDENT}{part.name}: {self.spell(part.annotation)}"
        if not arguments:
            return [head if default is None else f"{head} = {default}"]
        field_ = self.spell("⟦pydantic.Field⟧")
        if part.default == UNCHANGED:
            return self._annotated(part, f"{field_}({', '.join(arguments)})", str(default))
        if default is not None:
            arguments.insert(0, default if default not in ("[]", "{}") else f"default={default}")
        return self._call(f"{head} = {field_}", arguments, INDENT)

    def _annotated(self, part: FieldPlan, demands: str, default: str) -> list[str]:
        """Return a field whose default is a Field already, so that its constraints stand in its annotation."""
        annotated = self.spell("⟦typing.Annotated⟧")
        inner = f"{self.spell(part.annotation)}, {demands}"
        line = f"{INDENT}{part.name}: {annotated}[{inner}] = {default}"
        if len(line) <= self.layout.width:
            return [line]
        return [f"{INDENT}{part.name}: {annotated}[", f"{INDENT * 2}{inner}", f"{INDENT}] = {default}"]

    def _call(self, head: str, arguments: Sequence[str], indent: str) -> list[str]:
        line = f"{head}({', '.join(arguments)})"
        if len(line) <= self.layout.width:
            return [line]
        inner = f"{indent}{INDENT}{', '.join(arguments)}"
        if len(inner) <= self.layout.width:
            return [f"{head}(", inner, f"{indent})"]
        return [f"{head}(", *(f"{indent}{INDENT}{argument}," for argument in arguments), f"{indent})"]

    # The Protocol.

    def _protocol(self, colour: str) -> str:
        name = self._protocol_name(colour)
        words = " on asyncio" if colour == "async" else ""
        lines = [f"class {name}({self.spell('⟦typing.Protocol⟧')}):"]
        lines += [*self._doc(f"The statements of ``{self.layout.file}``{words}."), ""]
        self.imports.hidden = self.loaded | {method.name for method in self.plan.methods}
        methods = ["\n".join(self._method(method, colour)) for method in self.plan.methods]
        self.imports.hidden = self.loaded
        return "\n".join([*lines, "\n\n".join(methods)])

    def _protocol_name(self, colour: str) -> str:
        return (
            f"Async{self.layout.protocol}"
            if colour == "async" and len(self.layout.colours) > 1
            else self.layout.protocol
        )

    def _method(self, method: MethodPlan, colour: str) -> Iterator[str]:
        executor = self.spell("⟦sqlkit.AsyncExecutor⟧" if colour == "async" else "⟦sqlkit.Executor⟧")
        db = Names(part.name for part in method.parameters).take("db", "conn", "executor")
        parts = ["self", f"{db}: {executor}"]
        if method.items:
            parts.append(self._parameter(method.items))
        if method.parameters:
            parts += ["*", *map(self._parameter, method.parameters)]
        returns = method.returns
        if colour == "async" and method.stream:
            returns = returns.replace("⟦sqlkit.Rows⟧", "⟦sqlkit.AsyncRows⟧")
        prefix = "async " if colour == "async" and not method.stream else ""
        yield from self._signature(prefix, method.name, parts, self.spell(returns))
        inner = INDENT * 2
        first, rest = method_sentences(method.comment, method.name, method.lead)
        yield from docstring(first, rest, inner, self.layout.width, f"Run the statement ``{method.name}``.")
        yield f"{inner}..."

    def _parameter(self, parameter: ParameterPlan) -> str:
        default = "" if parameter.default is None else f" = {self.spell(parameter.default)}"
        return f"{parameter.name}: {self.spell(parameter.annotation)}{default}"

    def _signature(self, prefix: str, name: str, parts: Sequence[str], returns: str) -> Iterator[str]:
        head = f"{prefix}def {name}"
        whole = self._silenced(for_function(name))
        each = [self._silenced(for_argument(part.partition(":")[0])) for part in parts]
        line = f"{INDENT}{head}({', '.join(parts)}) -> {returns}:"
        if len(line) <= self.layout.width:
            rules = [rule for part in parts for rule in for_argument(part.partition(":")[0])]
            yield line + self._silenced([*for_function(name), *rules])
            return
        yield f"{INDENT}{head}({whole}"
        together = f"{INDENT * 2}{', '.join(parts)}"
        if len(together) <= self.layout.width and not any(each) and not whole:
            yield together
        else:
            for part, silenced in zip(parts, each, strict=True):
                yield f"{INDENT * 2}{part},{silenced}"
        yield f"{INDENT}) -> {returns}:"

    def _silenced(self, rules: Iterable[str]) -> str:
        return noqa(rules, self.layout.watched)

    def _load(self, colour: str) -> str:
        self.imports.modules["sqlkit"] = "sqlkit"
        variable, protocol = self.layout.variable, self._protocol_name(colour)
        if protocol != self.layout.protocol:
            variable = f"async_{variable}"
        path = self.spell(self.layout.path)
        return "\n".join(self._call(f"{variable}: {protocol} = sqlkit.load", [protocol, path], ""))
