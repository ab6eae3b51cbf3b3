"""What an operator's or a function's name means for given types, in the owner's session and elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from changelane.generator.sql.builtin import SCHEMA, Signature
from changelane.generator.sql.overload import choose_function, choose_operator
from changelane.generator.sql.quoting import quote_identifier
from changelane.generator.sql.typesystem import ANYTHING, SOME_BUILTIN, WILD, TypeSystem, match_loosely

Choose = Callable[[Sequence[Signature], Sequence[str], TypeSystem], Signature | None]


class Undecided(Exception):
    """The catalog does not decide the meaning: ``why``, and ``fix`` with the text to write."""

    def __init__(self, why: str, fix: str) -> None:
        super().__init__(why)
        self.why = why
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Meaning:
    """The type of the result. ``found`` is set only when its schema must be written. ``taken`` are the types
    to which the operands are converted, empty when they are not known.
    """

    result: str
    found: Signature | None = None
    taken: tuple[str, ...] = ()


class Lookup:
    def __init__(self, types: TypeSystem) -> None:
        self.types = types

    def find_operator(self, name: str, inputs: Sequence[str], *, schema: str = "") -> Meaning:
        """The operator of this name, only in ``schema`` if that is given. Raises Undecided."""
        builtin: Sequence[Signature] = self.types.builtins.operators.get(name, [])
        known = self.types.operators.get(name, [])
        if schema:
            return self._find_in(schema, builtin if schema == SCHEMA else known, inputs, choose_operator)
        known = [found for found in known if len(found.arguments) == len(inputs)]
        hidden = name in self.types.unlisted_operators

        def write(schema: str) -> str:
            return f"OPERATOR({quote_schema(schema)}.{name})"

        return self._decide(name, inputs, builtin, known, choose_operator, write=write, hidden=hidden)

    def find_function(self, name: str, inputs: Sequence[str], *, schema: str = "") -> Meaning:
        """The function of this name, only in ``schema`` if that is given. Raises Undecided."""
        builtin: Sequence[Signature] = self.types.builtins.functions.get(name, [])
        known = self.types.functions.get(name, [])
        if schema:
            return self._find_in(schema, builtin if schema == SCHEMA else known, inputs, choose_function)
        exact = any(found.arguments == tuple(inputs) for found in (*builtin, *known))
        if not (builtin or known) or (len(inputs) == 1 and not exact and self.types.find(name)):
            return self._find_cast(name)
        hidden = name in self.types.unlisted_functions

        def write(schema: str) -> str:
            return f"{quote_schema(schema)}.{quote_schema(name)}(...)"

        if not builtin and len({found.schema for found in known}) == 1:
            # No other function could be meant.
            found = choose_function(known, inputs, self.types)
            named = found or Signature(known[0].schema, name, (), ANYTHING)
            return Meaning(self._resolve(found, inputs) if found else ANYTHING, named)
        return self._decide(name, inputs, builtin, known, choose_function, write=write, hidden=hidden)

    def guess_function(self, name: str) -> str:
        """The result type that a ``pg_catalog`` function has for all arguments."""
        return self._guess(self.types.builtins.functions.get(name, ()), [ANYTHING])

    def _find_cast(self, name: str) -> Meaning:
        """A type's name, called as a function, is a cast."""
        if name in self.types.builtins.aggregates:
            raise Undecided(
                f"{name} is an aggregate or a window function", "an expression sees the changed row only"
            )
        key = self.types.find(name)
        if not key:
            raise Undecided(
                f"function {name} is not one of pg_catalog, where alone a capture function looks",
                f"write its schema, as in {quote_schema(self.types.first)}.{quote_schema(name)}(...)",
            )
        type = self.types.types.get(key)
        return Meaning(key, Signature(type.schema_, name, (), key) if type else None)

    def _find_in(
        self, schema: str, candidates: Sequence[Signature], inputs: Sequence[str], choose: Choose
    ) -> Meaning:
        candidates = [found for found in candidates if found.schema == schema]
        if any(type in WILD for type in inputs):
            return Meaning(self._guess(candidates, inputs))
        found = choose(candidates, inputs, self.types)
        if found is None:
            return Meaning(self._guess(candidates, inputs))
        return Meaning(self._resolve(found, inputs), taken=found.arguments)

    def _decide(
        self,
        name: str,
        inputs: Sequence[str],
        builtin: Sequence[Signature],
        known: Sequence[Signature],
        choose: Choose,
        *,
        write: Callable[[str], str],
        hidden: bool,
    ) -> Meaning:
        types = self.types
        possible = [found for found in known if match_loosely(types, found, inputs)]
        schemas = sorted({found.schema for found in possible}) or [types.first]
        options = " or ".join(write(schema) for schema in [*schemas, SCHEMA])
        if ANYTHING in inputs and (possible or hidden):
            raise Undecided(
                f"{name} takes a value whose type the catalog does not tell",
                f"cast that value, as in (...)::text, or write {options}",
            )
        if not possible:
            found = None if set(WILD) & set(inputs) else choose(builtin, inputs, types)
            if found is None:
                return Meaning(self._guess(builtin, inputs))
            return Meaning(self._resolve(found, inputs), taken=found.arguments)
        if SOME_BUILTIN in inputs:
            raise Undecided(
                f"whether {name} is that of pg_catalog or of {', '.join(schemas)} follows the types of its "
                "operands, which are not known here",
                f"cast them, as in (...)::text, or write {options}",
            )
        ordinary = choose(types.order([*builtin, *possible], seen=True), inputs, types)
        everywhere = choose(types.order([*builtin, *possible], seen=False), inputs, types)
        if ordinary != everywhere and ordinary is not None and everywhere is not None:
            raise Undecided(
                f"{name} of schema {everywhere.schema} is not on the search_path of the table's owner",
                f"write {write(everywhere.schema)}, or {write(ordinary.schema)}",
            )
        found = ordinary or everywhere
        plain = choose(builtin, inputs, types)
        if found is None and plain is None:
            return Meaning(ANYTHING)
        if found is None or (found.schema == SCHEMA and found != plain):
            shown = " and ".join(inputs)
            raise Undecided(f"{name} is ambiguous for {shown}", f"add casts, or write {options}")
        needed = None if found.schema == SCHEMA else found
        return Meaning(self._resolve(found, inputs), needed, found.arguments)

    def _resolve(self, found: Signature, inputs: Sequence[str]) -> str:
        return self.types.resolve(found.result, self.types.match(found.arguments, inputs) or {})

    def _guess(self, candidates: Sequence[Signature], inputs: Sequence[str]) -> str:
        """The result type when any of these may be meant."""
        if not candidates:
            return ANYTHING
        results = {found.result for found in candidates}
        if len(results) == 1 and not any(result.startswith("any") for result in results):
            return results.pop()
        own = all(self.types.is_builtin(self.types.base(type)) or type == "unknown" for type in inputs)
        return SOME_BUILTIN if own and all(found.schema == SCHEMA for found in candidates) else ANYTHING


def quote_schema(name: str) -> str:
    """A name as a person would write it."""
    plain = name.isascii() and name.isidentifier() and name == name.lower()
    return name if plain else quote_identifier(name)
