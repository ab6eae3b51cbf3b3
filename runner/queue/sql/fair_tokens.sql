coalesce(
    (
        SELECT least(
            {most}, greatest(tokens, -{most}) + EXTRACT(epoch FROM statement_timestamp() - at)::float8 * {rate}
        )
        FROM changelane.buckets
        WHERE queue = {name} AND grp = {grp} AND whole = {whole}
    ), {most}
)
