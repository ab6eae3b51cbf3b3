-- IS TRUE keeps Postgres from the index on vt, which also has what is delayed.
{most} - (SELECT count(*) FROM {queue} WHERE {inside} {leased} AND (vt > statement_timestamp()) IS TRUE)
