DROP TABLE IF EXISTS changelane.sleepers, changelane.pauses, changelane.progress;
DROP SCHEMA changelane;
