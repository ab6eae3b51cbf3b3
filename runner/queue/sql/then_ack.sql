
SELECT msg_id FROM whole
