-- For all who may use the schema, whatever default privileges took from PUBLIC.
GRANT EXECUTE ON FUNCTION changelane.measure(record), changelane.digest(text) TO PUBLIC;
