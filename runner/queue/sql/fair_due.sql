-- For Postgres, only the index of groups has this order. An equality would let it read the index on vt instead, and
-- pass over the backlog of others. The walk has passed what died before the group's first message.
({group}, vt) >= (ready.grp, ready.vt) AND ({group}, vt) <= (ready.grp, statement_timestamp())
        ORDER BY {group}, vt
