-- One probe of the vt index: null when the queue is empty, else seconds until its next message is due.
SELECT {name}, extract(epoch FROM (SELECT min(vt) FROM {queue}) - clock_timestamp())::float8,
    EXISTS (SELECT FROM changelane.pauses WHERE queue = {name})
