"""Types by their keys, with the conversions that Postgres knows when it looks for an operator or a function.

The rules are those of the manual's chapter on type conversion, in the order of parse_coerce.c.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from changelane.contract.catalog import Catalog, Type
from changelane.generator.sql.builtin import SCHEMA, Signature, load_builtins
from changelane.generator.sql.expression import Expression

UNKNOWN = "unknown"
"""The type of a literal, until its surroundings choose one."""
SOME_BUILTIN = "?builtin"
"""An unknown type of ``pg_catalog``."""
ANYTHING = "?"
"""A type of which nothing is known."""
WILD = (SOME_BUILTIN, ANYTHING)

_ELEMENT = {"anyelement", "anynonarray", "anyenum"}
_COMPATIBLE = {
    *("anycompatible", "anycompatiblearray", "anycompatiblenonarray", "anycompatiblerange"),
    "anycompatiblemultirange",
}
POLYMORPHIC = {*_ELEMENT, *_COMPATIBLE, "anyarray", "anyrange", "anymultirange"}


class TypeSystem:
    """The built-in types, and those of a catalog with its casts, operators and functions.

    ``path`` lists, in order, the schemas in which the owner's ordinary session looks names up.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.builtins = load_builtins()
        self.types: dict[str, Type] = {f"{type.schema_}.{type.name}": type for type in catalog.types}
        self.casts = self.builtins.casts | {(cast.source, cast.target) for cast in catalog.casts}
        self.operators = _index(
            Signature(found.schema_, found.name, found.arguments, found.result) for found in catalog.operators
        )
        self.functions = _index(
            Signature(
                found.schema_, found.name, found.arguments, found.result, found.variadic, found.defaults
            )
            for found in catalog.functions
        )
        self.unlisted_operators = frozenset(catalog.unlisted.operators)
        self.unlisted_functions = frozenset(catalog.unlisted.functions)
        path = catalog.search_path
        self.path = path if SCHEMA in path else (SCHEMA, *path)
        self.first = next((schema for schema in path if schema != SCHEMA), "public")
        self.qualified: dict[object, Expression] = {}

    def find(self, name: str) -> str:
        """The key of a type named without its schema; empty when there is no such type, or several without an
        order.
        """
        if name in self.builtins.types:
            return name
        found = [type.schema_ for type in self.types.values() if type.name == name]
        seen = [schema for schema in self.path if schema in found] or (found if len(found) == 1 else [])
        return f"{seen[0]}.{name}" if seen else ""

    def is_builtin(self, key: str) -> bool:
        return key == SOME_BUILTIN or key.removesuffix("[]") in self.builtins.types

    def base(self, key: str) -> str:
        """The base type of a domain, else the type itself."""
        while (type := self.types.get(key)) and type.kind == "domain":
            key = type.of
        return key

    def element(self, key: str) -> str:
        """The element type of an array, or of a domain over one; empty for other types."""
        base = self.base(key)
        return base[:-2] if base.endswith("[]") else ""

    def subtype(self, key: str) -> str:
        """The subtype of a range or multirange; empty for other types."""
        base = self.base(key)
        if type := self.types.get(base):
            return type.of if type.kind in ("range", "multirange") else ""
        builtin = self.builtins.types.get(base)
        return builtin.subtype if builtin else ""

    def kind(self, key: str) -> str:
        base = self.base(key)
        return self.types[base].kind if base in self.types else "base"

    def rank(self, key: str) -> tuple[str, bool]:
        """The type's category, and whether it is preferred in it."""
        if key.endswith("[]"):
            return "A", False
        if type := self.types.get(key):
            return type.category, type.preferred
        builtin = self.builtins.types.get(key)
        return (builtin.category, builtin.preferred) if builtin else ("U", False)

    def casts_to(self, source: str, target: str) -> bool:
        """Whether Postgres converts ``source`` to ``target`` without a written cast."""
        source, target = self.base(source), self.base(target)
        if source in (target, UNKNOWN) or target == "any" or (source, target) in self.casts:
            return True
        if target == "record":
            return self.kind(source) == "composite"
        if target == "record[]":
            return self.kind(self.element(source)) == "composite"
        if source.endswith("[]") and target.endswith("[]"):
            return self.casts_to(source[:-2], target[:-2])
        return False

    def match(self, declared: Sequence[str], inputs: Sequence[str]) -> dict[str, str] | None:
        """The actual types of polymorphic ones when ``inputs`` are passed for ``declared``; None if they do
        not fit.
        """
        bound: dict[str, str] = {}
        compatible: list[str] = []
        for wanted, given in zip(declared, inputs, strict=True):
            if wanted not in POLYMORPHIC:
                if not self.casts_to(given, wanted):
                    return None
            elif given != UNKNOWN and not self._bind(wanted, given, bound, compatible):
                return None
        if "anyarray" in bound and not _agree(bound, "anyelement", self.element(bound["anyarray"])):
            return None
        for name in ("anyrange", "anymultirange"):
            if name in bound and not _agree(bound, "anyelement", self.subtype(bound[name])):
                return None
        if compatible:
            common = self.choose_common(compatible)
            if common in WILD or not all(self.casts_to(type, common) for type in compatible):
                return None
            bound["anycompatible"] = common
        return bound

    def _bind(self, wanted: str, given: str, bound: dict[str, str], compatible: list[str]) -> bool:
        part = {
            "anyarray": self.element, "anycompatiblearray": self.element,
            "anyrange": self.subtype, "anycompatiblerange": self.subtype,
            "anymultirange": self.subtype, "anycompatiblemultirange": self.subtype,
        }.get(wanted)  # fmt: skip
        multi = "multirange" in self.kind(given) or "multirange" in self.base(given)
        if part and not (part(given) and ("range" not in wanted or ("multi" in wanted) == multi)):
            return False
        if wanted.endswith("nonarray") and self.element(given):
            return False
        if wanted == "anyenum" and self.kind(given) != "enum":
            return False
        if wanted in _COMPATIBLE:
            compatible.append(part(given) if part else given)
            return True
        return _agree(bound, wanted if part else "anyelement", self.base(given) if part else given)

    def resolve(self, result: str, bound: Mapping[str, str]) -> str:
        """The actual type of a result that is declared with this type."""
        if result not in POLYMORPHIC:
            return result
        element = bound.get("anycompatible" if result in _COMPATIBLE else "anyelement", "")
        if result in ("anyarray", "anycompatiblearray"):
            return bound.get("anyarray") or (f"{element}[]" if element else ANYTHING)
        if "range" in result:
            return bound.get(result, ANYTHING)
        return element or ANYTHING

    def choose_common(self, types: Sequence[str]) -> str:
        """The type of CASE, COALESCE, ARRAY and the like with values of these types."""
        if len(set(types)) == 1 and types[0] != UNKNOWN:
            return types[0]
        if ANYTHING in types:
            return ANYTHING
        if SOME_BUILTIN in types:
            known = all(self.is_builtin(self.base(type)) or type == UNKNOWN for type in types)
            return SOME_BUILTIN if known else ANYTHING
        chosen = UNKNOWN
        for type in map(self.base, types):
            if type in (UNKNOWN, chosen):
                continue
            if chosen == UNKNOWN:
                chosen = type
                continue
            category, preferred = self.rank(chosen)
            if self.rank(type)[0] != category:
                return ANYTHING
            if not preferred and self.casts_to(chosen, type) and not self.casts_to(type, chosen):
                chosen = type
        return "text" if chosen == UNKNOWN else chosen

    def order(self, signatures: Iterable[Signature], *, seen: bool) -> list[Signature]:
        """The signatures of the path, in its order, then all others; with ``seen``, only those of the
        path.
        """
        places = {schema: number for number, schema in enumerate(self.path)}
        kept = [found for found in signatures if not seen or found.schema in places]
        return sorted(kept, key=lambda found: places.get(found.schema, len(places)))


def _agree(bound: dict[str, str], name: str, type: str) -> bool:
    return bound.setdefault(name, type) == type


def _index(signatures: Iterable[Signature]) -> Mapping[str, list[Signature]]:
    index: defaultdict[str, list[Signature]] = defaultdict(list)
    for signature in signatures:
        index[signature.name].append(signature)
    return index


def match_loosely(types: TypeSystem, found: Signature, inputs: Sequence[str]) -> bool:
    """Whether the signature could be meant if the unknown types were the right ones."""
    declared = found.arguments
    if found.variadic or len(inputs) < len(declared):
        return len(inputs) >= len(declared) - max(found.defaults, found.variadic)
    return len(declared) == len(inputs) and all(
        _fits(types, wanted, given) for wanted, given in zip(declared, inputs, strict=True)
    )


def _fits(types: TypeSystem, wanted: str, given: str) -> bool:
    if given == ANYTHING or wanted in POLYMORPHIC:
        return True
    if given == SOME_BUILTIN:
        return types.is_builtin(wanted) or any(
            target == wanted and types.is_builtin(source) for source, target in types.casts
        )
    return types.casts_to(given, wanted)
