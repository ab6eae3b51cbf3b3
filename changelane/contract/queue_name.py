"""Which names a queue may have, the tables that pgmq makes for it, and its name in COMMENTs.

pgmq keeps a queue's name as given in ``pgmq.meta`` and in lower case in the names of its tables. It refuses
``$``, ``;``, ``--`` and ``'`` (``pgmq.format_table_name``), and names of more than 47 characters
(``pgmq.validate_queue_name``).
"""

from __future__ import annotations

import re

LONGEST = 47
"""Bytes of a name in UTF-8. pg_partman's template table takes 16 more, and Postgres has 63 for a name."""

REFUSED = re.compile(r"[$;']|--")
"""What pgmq accepts in no name."""

_PLAIN = re.compile(r"[^A-Za-z0-9_.-]")
_ENCODED = re.compile("(?:=[0-9A-F]{2})+")


def fold(queue: str) -> str:
    """The name inside the names of its tables. Two queues of one folded name share their tables."""
    return queue.lower()


def queue_table(queue: str) -> str:
    """The table of the queue's messages, in schema pgmq."""
    return f"q_{fold(queue)}"


def archive_table(queue: str) -> str:
    """The table of the queue's archived messages, in schema pgmq."""
    return f"a_{fold(queue)}"


def find_fault(queue: str) -> str:
    """The fault of a queue's name, in words; empty if nothing is.

    How a server writes a letter beyond ASCII in lower case depends on its locale. So a name has such letters
    in lower case only.
    """
    if not queue.strip():
        return "is blank" if queue else "is empty"
    if found := REFUSED.search(queue):
        return f"holds {found[0]}, which pgmq accepts in no queue's name"
    if not queue.isprintable():
        return "holds a character that cannot be printed"
    if any(letter.lower() != letter for letter in queue if not letter.isascii()):
        return "holds a capital letter beyond A to Z, whose lower case depends on the server's locale"
    if len(queue.encode()) > LONGEST:
        count = "characters" if queue.isascii() else "bytes"
        return f"has {len(queue.encode())} {count}, and pgmq accepts {LONGEST}"
    return ""


def encode(queue: str) -> str:
    """The name as one word of letters, digits, ``_``, ``.``, ``-`` and ``=``, as a COMMENT holds it: other
    characters are ``=`` and two hex digits a byte. ``decode`` reads it.
    """
    return _PLAIN.sub(lambda found: "".join(f"={byte:02X}" for byte in found[0].encode()), queue)


def decode(word: str) -> str:
    """The name that ``encode`` wrote. Text that it never wrote comes back as it is."""
    if "=" not in word:
        return word
    return _ENCODED.sub(lambda found: bytes.fromhex(found[0].replace("=", "")).decode(errors="replace"), word)
