-- description: Intervals of an account follow each other without a gap, and the last has not ended
-- weight: BLOCK
-- table: completeness
-- looked_at: SELECT count(*) FROM completeness WHERE retired_at IS NULL
SELECT account_id, since, until, lead(since) OVER (PARTITION BY account_id ORDER BY since) AS next_since
FROM completeness
WHERE retired_at IS NULL
QUALIFY next_since IS DISTINCT FROM until
