SELECT CASE WHEN has_schema_privilege('changelane', 'USAGE') THEN has_column_privilege('changelane.pauses', 'since', 'SELECT') END
