SELECT queue, extract(epoch FROM clock_timestamp() - since)::float8 FROM changelane.pauses
