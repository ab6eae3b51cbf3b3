DELETE FROM changelane.pauses WHERE queue = %s
