-- What own portfolios had sent and not yet received at each cut-off: in none of their balances, and matched with what is known now.
SELECT
    d.calendar, d.day, d.as_of, t.entity, t.asset, t.sent AS units, a.portfolio AS sent_by, t.sent_at, b.portfolio AS received_by,
    t.received_at, p.price, p.currency
FROM closed_days AS d
JOIN transfers AS t ON t.kind = 'TRANSFER' AND t.sent_at < d.as_of AND (t.received_at IS NULL OR t.received_at >= d.as_of)
JOIN accounts AS a ON a.account_id = t.sent_by
LEFT JOIN accounts AS b ON b.account_id = t.received_by
LEFT JOIN daily_prices AS p ON p.calendar = d.calendar AND p.day = d.day AND p.asset = t.asset AND p.method = 'VWAP_24H'
