-- Every balance event that stands, with its names; what a venue took back is left out.
SELECT
    m.occurred_at, p.entity, p.venue, a.portfolio, a.native_code, a.asset, m.event_type, m.amount, m.balance_after, m.pending_after,
    m.event_id, m.recorded_at, m.page_sha256
FROM postings AS m
JOIN accounts AS a USING (account_id)
JOIN portfolios AS p USING (portfolio)
WHERE m.retired_at IS NULL
