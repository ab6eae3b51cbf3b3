SELECT to_regclass('changelane.pauses') IS NOT NULL AND to_regclass('pgmq.meta') IS NOT NULL
