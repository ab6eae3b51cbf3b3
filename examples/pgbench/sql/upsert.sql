INSERT INTO {replica} AS kept ({columns}, version, deleted)
VALUES ({values}, %(version)s, %(deleted)s)
ON CONFLICT ({key}) DO UPDATE
SET ({columns}, version, deleted) = ({excluded}, excluded.version, excluded.deleted)
WHERE kept.version < excluded.version
