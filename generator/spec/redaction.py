"""Keeps secrets that stand in a spec by mistake out of every error about it.

Under ``destinations`` the tree of nodes says what is a secret. Text that is not parsed yet, or not kept, as
the second of two equal keys, is judged line by line. What is masked keeps its length, so that underlines
fit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from changelane.text import clean_line

if TYPE_CHECKING:
    from changelane.generator.spec.yaml_source import Node

Place = tuple[int, int]
"""Offsets into the text, as those of a node."""

SECRET_KEY = re.compile(
    r"pass(word|wd|phrase)|secret|token|nkey|credential|jaas|oauthbearer\.(config|assertion)|authorization"
    r"|cookie|signature|api[-_]?key|standard_webhooks|ssl\.(key|ca|certificate|keystore)\.pem",
    re.IGNORECASE,
)
"""Keys whose values are secrets."""

_EXEMPT = ("version", "owner", "project", "queues", "routes", "consumers", "schedules")
"""Where `token: new.token` names a column, and no secret has a place."""

_VARIABLE = re.compile("[A-Za-z_][A-Za-z0-9_]*")
# Bounded, so that no text takes long.
_USERINFO = re.compile(r"(?<=://)[^\s'\"]{1,200}(?=@)")
_BARE_USERINFO = re.compile(r"[^\s/'\",@:\[{]{1,200}:[^\s/'\",@]{1,200}(?=@)")
_PAIR = re.compile(
    r"(?P<key>\"[^\"]*\"|'[^']*'|[^\s{}\[\],\"'#:][^{}\[\],\"'#:]*?)\s*:\s+(?:[&!]\S+\s+)*"
    r"(?P<value>\"(?:[^\"\\]|\\.)*\"?|'(?:[^']|'')*'?|(?![{\[|>*&!#])[^\s][^#{}\[\],]*)"
)
_OPENS = re.compile(r"^[\s-]*(?P<key>[^\s#][^#]*?)\s*:\s*(?:[|>][-+0-9]*)?\s*(?:#.*)?$")
_PLACE = re.compile(r"\s*(env|file|file_env)\s*:")
"""A mapping that names the secret's place is no secret."""

_OF_ROUTES = re.compile(r"\b(new|old)\.|^(sha256|redact)\b")


def find_secrets(root: Node) -> list[Place]:
    """The places of all secrets in a tree."""
    content = root.content if isinstance(root.content, dict) else {}
    return [
        place
        for key, node in content.items()
        if key not in _EXEMPT
        for place in _find(node, secret=False, named=False)
    ]


def find_exempt(root: Node) -> list[Place]:
    """The places of all parts that hold no secrets."""
    content = root.content if isinstance(root.content, dict) else {}
    return [(node.start, node.end) for key, node in content.items() if key in _EXEMPT]


def _find(node: Node, *, secret: bool, named: bool) -> Iterator[Place]:
    """``secret``: the value of a secret's key. ``named``: a variable's name, if it can be one."""
    if isinstance(node.content, list):
        for item in node.content:
            yield from _find(item, secret=secret, named=False)
    elif isinstance(node.content, dict):
        for key, child in node.content.items():
            names = key in ("env", "file_env")
            if secret and not names and key != "file":
                # The secret may be the key.
                yield node.keys[key]
            inner = SECRET_KEY.search(key) is not None or (secret and not names and key != "file")
            yield from _find(child, secret=inner, named=names)
    elif secret or (named and node.content and not _VARIABLE.fullmatch(node.content)):
        yield node.start, node.end


def mask(text: str, places: Sequence[Place], *, start: int, end: int) -> str:
    """The part of the text from ``start`` to ``end``, with asterisks in the places."""
    letters = list(text[start:end])
    for first, last in places:
        for index in range(max(first, start) - start, min(last, end) - start):
            if not letters[index].isspace():
                letters[index] = "*"
    return "".join(letters)


def mask_line(line: str, *, before: Sequence[str], exempt: bool) -> str:
    """A line by itself: user and password in URLs, and, unless ``exempt``, values of keys that name secrets.
    ``before`` are the lines above it, the nearest first.
    """
    places = [found.span() for found in _USERINFO.finditer(line)]
    if not exempt:
        places += [found.span() for found in _BARE_USERINFO.finditer(line)]
        places += [
            found.span("value")
            for found in _PAIR.finditer(line)
            if SECRET_KEY.search(found["key"]) and not _OF_ROUTES.search(found["value"])
        ]
        if _continues(line, before):
            places.append((0, len(line)))
    return mask(line, places, start=0, end=len(line)) if places else line


def _continues(line: str, before: Sequence[str]) -> bool:
    """Whether the line is, or belongs to, the value of a secret's key further up."""
    indent = len(line) - len(line.lstrip())
    for above in before:
        depth = len(above) - len(above.lstrip())
        if above.strip() and depth < indent:
            opens = _OPENS.match(above)
            return bool(opens and SECRET_KEY.search(opens["key"]) and not _PLACE.match(line))
    return False


def scrub(message: str, secrets: Sequence[str]) -> str:
    """The message without secrets that it quotes."""
    for secret in secrets:
        if secret in message:
            message = message.replace(secret, "***")
    return message


def list_quoted(text: str, places: Sequence[Place]) -> list[str]:
    """The secrets as messages quote them, without those that are too short to be told from other text."""
    found = {clean_line(text[start:end].strip("'\" \n"))[:60] for start, end in places}
    found |= {userinfo[0][:60] for userinfo in _USERINFO.finditer(text)}
    return sorted((one for one in found if len(one) > 3), key=len, reverse=True)
