"""The command line's process: what must hold before its first import that takes time."""

from __future__ import annotations

import gc
import os
import signal

if os.getpid() == 1:
    # For the first process of a container, the system ignores signals that have no handler.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: os._exit(128 + number))
elif signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    # Python makes an exception of an interrupt, and code that is imported meanwhile may swallow it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

for descriptor in range(3):
    try:
        os.fstat(descriptor)
    except OSError:
        # Closed by whoever started this: the next file or socket would take its place, and its output.
        os.open(os.devnull, os.O_RDWR)


def main() -> None:
    """Run the command line and exit."""
    # What imports make lives to the end. A search for garbage in it takes a tenth of a command's start.
    gc.disable()
    from changelane.cli import main as run

    run()


if __name__ == "__main__":
    main()
