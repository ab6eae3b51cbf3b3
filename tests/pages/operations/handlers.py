from changelane import Change


def on_order(change: Change) -> None:
    if change.new and change.new["total"] < 0:
        raise ValueError("negative total")
