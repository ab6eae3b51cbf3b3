DROP TABLE IF EXISTS changelane.sleepers, changelane.pauses;
DROP SCHEMA changelane;
