-- Effects that committed although another worker had claimed the message after their handler began.
SELECT ledger.queue, format('message %s: begun as claim %s, acked as claim %s', msg_id, ledger.claim, removed.claim)
FROM torture.ledger
JOIN torture.removed USING (queue, msg_id)
WHERE ledger.queue NOT IN ('loose', 'taken', 'taken_batches') AND ledger.claim IS DISTINCT FROM removed.claim
