-- description: Two entries that do not explain each other are in chain_breaks, and no others are
-- weight: BLOCK
-- table: chain_breaks
-- looked_at: SELECT count(*) FROM postings WHERE retired_at IS NULL
-- onwards: a posting must follow from the one before it
-- may_look_at_nothing: no account has a current event
WITH opened AS (
    SELECT account_id, arg_max(opened_at, recorded_at) AS opened_at FROM openings GROUP BY account_id
), linked AS (
    SELECT p.account_id, p.occurred_at, p.position,
        p.balance_after - p.amount - lag(p.balance_after) OVER (PARTITION BY p.account_id ORDER BY p.occurred_at, p.position) AS missing
    FROM postings AS p JOIN opened AS o USING (account_id)
    WHERE p.retired_at IS NULL AND p.occurred_at >= o.opened_at
), noted AS (
    SELECT * FROM chain_breaks WHERE retired_at IS NULL AND kind = 'BALANCE' AND since_position >= 0
)
SELECT coalesce(l.account_id, n.account_id) AS account_id, l.occurred_at, l.position, l.missing, n.missing AS noted
FROM (SELECT * FROM linked WHERE missing <> 0) AS l
FULL JOIN noted AS n ON n.account_id = l.account_id AND n.until = l.occurred_at AND n.until_position = l.position
WHERE l.missing IS DISTINCT FROM n.missing
