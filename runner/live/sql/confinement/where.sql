CREATE OR REPLACE FUNCTION pg_temp.changelane_where(
    message jsonb, headers jsonb, msg_id bigint, enqueued_at timestamptz
) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS {body}
