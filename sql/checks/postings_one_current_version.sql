-- description: A posting has at most one version that is not retired
-- weight: BLOCK
-- table: postings
-- looked_at: SELECT count(*) FROM postings WHERE retired_at IS NULL
-- onwards: the other version may be an old one
-- may_look_at_nothing: no account has a current event
SELECT account_id, occurred_at, position, count(*) AS current_versions
FROM postings
WHERE retired_at IS NULL
GROUP BY account_id, occurred_at, position
HAVING count(*) > 1
