SELECT queue FROM changelane.pauses
