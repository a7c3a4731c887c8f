-- description: A value carries the balance of its account and the price of its asset, as they stand in their own tables
-- weight: BLOCK
-- table: daily_values
-- looked_at: SELECT count(*) FROM daily_values
SELECT v.calendar, v.day, v.account_id, a.asset, v.balance, b.balance AS daily_balance, v.price, p.price AS daily_price,
    v.price_basis, v.currency, v.reason, p.reason AS daily_reason
FROM daily_values AS v
LEFT JOIN accounts AS a USING (account_id)
LEFT JOIN daily_balances AS b USING (calendar, day, account_id)
LEFT JOIN daily_prices AS p ON p.calendar = v.calendar AND p.day = v.day AND p.asset = a.asset AND p.method = 'VWAP_24H'
WHERE v.balance IS DISTINCT FROM b.balance
    OR CASE
        WHEN a.asset IS NULL THEN v.price IS NOT NULL OR v.reason NOT IN ('UNMAPPED_ASSET', 'EXCLUDED_BY_POLICY')
        WHEN v.reason = 'OUT_OF_RANGE' AND p.price IS NOT NULL -- the product has no room: at least, it may not have
            THEN coalesce(TRY((trunc(abs(v.balance))::HUGEINT + 1) * (trunc(p.price)::HUGEINT + 1)) < 1000000000000000000, v.balance IS NULL)
        ELSE (v.price, v.price_basis, v.currency, v.reason) IS DISTINCT FROM (p.price, p.price_basis, p.currency, p.reason)
    END
