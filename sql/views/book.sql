-- The book: every account on every closed day, with its names, balance, price and value.
SELECT
    v.calendar, v.day, v.as_of, p.entity, p.venue, a.portfolio, a.native_code, a.asset, a.network,
    v.balance, b.pending_balance, v.price, v.price_basis, v.currency, v.value, v.reason,
    b.read_through, b.balance_status, b.movements_status, b.status_reasons
FROM daily_values AS v
JOIN daily_balances AS b USING (calendar, day, account_id)
JOIN accounts AS a USING (account_id)
JOIN portfolios AS p USING (portfolio)
