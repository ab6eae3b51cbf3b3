UPDATE changelane.sleepers SET until = '-infinity' WHERE queue = ANY (%s)
