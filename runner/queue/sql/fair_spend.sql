(
    SELECT changelane.spend_tokens({name}, {groups}, {counts}, {whole}, {rate}, {most})::text
    FROM served HAVING count(*) > 0
)
