-- For how many seconds the first and the last message of a claim have been due. date_part takes infinite times, too.
-- One text: it is repeated in each row.
concat(
    (date_part('epoch', statement_timestamp()) - date_part('epoch', min(vt)))::float8, ' ',
    (date_part('epoch', statement_timestamp()) - date_part('epoch', max(vt)))::float8
)
