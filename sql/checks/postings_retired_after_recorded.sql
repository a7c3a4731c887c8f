-- description: A posting is retired only after it was recorded
-- weight: BLOCK
-- table: postings
-- looked_at: SELECT count(*) FROM postings
SELECT account_id, occurred_at, position, recorded_at, retired_at
FROM postings
WHERE retired_at <= recorded_at
