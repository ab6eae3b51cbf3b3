from changelane import Change


def on_order(change: Change) -> None:
    print(f"{change.op} of {change.table}")
