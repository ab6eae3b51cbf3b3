SELECT changelane.fold_history()
