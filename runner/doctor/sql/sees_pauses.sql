SELECT CASE WHEN has_schema_privilege('changelane', 'USAGE') THEN has_table_privilege('changelane.pauses', 'SELECT') END
