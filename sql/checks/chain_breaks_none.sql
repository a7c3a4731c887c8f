-- description: Every chain holds
-- weight: QUALIFY
-- table: chain_breaks
-- looked_at: SELECT count(*) FROM postings WHERE retired_at IS NULL
-- may_look_at_nothing: no account has a current event
SELECT a.portfolio, a.native_code, b.kind, b.since, b.until, b.stood, b.moved, b.reported, b.missing
FROM chain_breaks AS b LEFT JOIN accounts AS a USING (account_id)
WHERE b.retired_at IS NULL AND b.kind <> 'ORDER'
