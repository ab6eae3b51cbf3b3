SELECT queue, vanished_at::text FROM changelane.find_vanished({queues}, 0)
