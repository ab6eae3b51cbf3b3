SELECT changelane.advance_schedule(
    %(project)s, %(name)s, %(spec)s, %(since)s, %(expected)s, %(run)s, %(passed_over)s, %(next_at)s
)
