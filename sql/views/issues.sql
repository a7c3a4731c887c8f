-- The inbox: what stands between the book and a lock, one row per matter, and what would resolve it; `issue` is what `accept` takes.
WITH named AS (
    SELECT a.account_id, p.entity, p.venue, a.portfolio, a.native_code, a.asset, a.recorded_at
    FROM accounts AS a JOIN portfolios AS p USING (portfolio)
), newest AS (
    SELECT * FROM book WHERE (calendar, day) IN (SELECT (calendar, max(day)) FROM closed_days GROUP BY calendar)
), tied AS (
    SELECT * FROM tie_outs
    QUALIFY row_number() OVER (PARTITION BY portfolio, native_code, kind ORDER BY recorded_at DESC) = 1
), known_types AS ( -- as the roll-forward knows them
    SELECT 'coinbase' AS venue, unnest([
        'transfer', 'match', 'otc_match', 'rfq_match', 'conversion', 'match_conversion', 'stake_wrap', 'fee',
        'otc_fee', 'rfq_fee', 'conversion_fee', 'margin_interest', 'rebate', 'tax_credit'
    ]) AS event_type
    UNION ALL
    SELECT 'pacifica' AS venue, unnest([
        'deposit', 'deposit_release', 'withdraw', 'trade', 'fee', 'funding', 'market_liquidation',
        'backstop_liquidation', 'adl_liquidation', 'payout', 'rebate', 'cashback', 'referral', 'airdrop',
        'subaccount_transfer'
    ]) AS event_type
    UNION ALL
    SELECT 'cryptofuse' AS venue, unnest([
        'deposit', 'withdrawal', 'fee', 'to_sub', 'to_master'
    ]) AS event_type
), later AS (
    SELECT i.*, c.as_of, i.balance_change::VARCHAR || ' units, ' || i.value_change::VARCHAR || ' ' || coalesce(i.currency_now, i.currency, '')
        AS effect
    FROM post_close_items AS i LEFT JOIN closed_days AS c ON c.calendar = i.calendar AND c.day = i.locked_day
), found AS (
    SELECT 'BREAK' AS matter, n.portfolio, n.native_code, b.since, b.until, b.missing AS amount, b.recorded_at AS first_seen,
        lower(b.kind) || ': two entries do not explain each other' AS says,
        'another pull that shows what is missing' AS resolved_by,
        concat_ws('|', 'BREAK', b.kind, n.portfolio, n.native_code, b.until, b.until_position, b.missing) AS key
    FROM chain_breaks AS b JOIN named AS n USING (account_id)
    WHERE b.retired_at IS NULL AND b.kind <> 'ORDER'
    UNION ALL
    SELECT 'TIE_OUT', portfolio, nullif(native_code, ''), NULL, asked_at, theirs - ours, recorded_at,
        'the venue says ' || theirs::VARCHAR || ', our entries say ' || coalesce(ours::VARCHAR, 'nothing') || ' (' || lower(kind) || ')',
        'another pull; the venue''s answer', concat_ws('|', 'TIE_OUT', kind, portfolio, native_code, theirs - ours)
    FROM tied
    WHERE outcome = 'DIFFERS'
    UNION ALL
    SELECT 'NOT_TIED_OUT', n.portfolio, n.native_code, c.since, c.until, NULL, c.recorded_at,
        'no live balance to compare with', 'a key that may read balances', concat_ws('|', 'NOT_TIED_OUT', n.portfolio, n.native_code)
    FROM completeness AS c JOIN named AS n USING (account_id)
    WHERE c.retired_at IS NULL AND c.reasons LIKE '%NO_TIE_OUT%'
    UNION ALL
    SELECT 'OPENING', n.portfolio, n.native_code, NULL, NULL, NULL, n.recorded_at,
        'nobody knows what it opened with', 'an asserted opening with its document', concat_ws('|', 'OPENING', n.portfolio, n.native_code)
    FROM named AS n
    WHERE coalesce((SELECT arg_max(kind, recorded_at) FROM openings AS o WHERE o.account_id = n.account_id), 'UNKNOWN') = 'UNKNOWN'
    UNION ALL
    SELECT 'OPENING_DERIVED', n.portfolio, n.native_code, NULL, o.opened_at, o.amount, o.recorded_at,
        'what it held before its first entry is told by that entry alone', 'an asserted opening with its document',
        concat_ws('|', 'OPENING_DERIVED', n.portfolio, n.native_code, o.opened_at, o.amount)
    FROM openings AS o JOIN named AS n USING (account_id)
    WHERE o.kind = 'DERIVED_FIRST_POSTING' AND o.amount <> 0
        AND o.recorded_at = (SELECT max(recorded_at) FROM openings AS newer WHERE newer.account_id = o.account_id)
    UNION ALL
    SELECT 'SUSPENSE', portfolio, native_code, NULL, NULL, NULL, recorded_at,
        'a row was refused: ' || reason, 'a release that reads it', concat_ws('|', 'SUSPENSE', portfolio, page_sha256, position)
    FROM suspense
    UNION ALL
    SELECT 'NOT_CONFIGURED', min(seen_by), NULL, NULL, NULL, NULL, min(first_seen),
        name || ' (' || venue_id || ') exists at ' || venue || ' and is in nobody''s book', 'a [[portfolio]] in the configuration',
        concat_ws('|', 'NOT_CONFIGURED', venue, venue_id)
    FROM population
    WHERE portfolio IS NULL
    GROUP BY venue, venue_id, name
    UNION ALL
    SELECT 'POST_CLOSE', portfolio, native_code, as_of, NULL, balance_change, recorded_at,
        locked_day::VARCHAR || ' is locked and would show another number now: ' || effect, '`closebook carry`, or `closebook revise`', item
    FROM later
    UNION ALL
    SELECT 'STALE', portfolio, NULL, min(read_through), max(as_of), NULL, coalesce(min(read_through), max(as_of)),
        count(DISTINCT native_code)::VARCHAR || ' accounts are not read through the newest cut-off', 'a pull that succeeds',
        concat_ws('|', 'STALE', portfolio, min(read_through)) -- read once more and no longer, it is another issue
    FROM newest
    WHERE balance_status = 'STALE'
    GROUP BY portfolio
    UNION ALL
    SELECT 'STALE', p.portfolio, NULL, NULL, NULL, NULL, p.recorded_at, 'it was never read', 'a pull that succeeds',
        concat_ws('|', 'STALE', p.portfolio)
    FROM portfolios AS p
    WHERE NOT EXISTS (SELECT 1 FROM pulls WHERE pulls.portfolio = p.portfolio)
    UNION ALL
    SELECT 'UNKNOWN_TYPE', n.portfolio, n.native_code, min(m.occurred_at), max(m.occurred_at), sum(m.amount), min(m.recorded_at),
        count(*)::VARCHAR || ' entries of a type nobody knows: ' || m.event_type, 'a release that knows the type',
        concat_ws('|', 'UNKNOWN_TYPE', n.portfolio, n.native_code, m.event_type)
    FROM postings AS m JOIN named AS n USING (account_id) ANTI JOIN known_types AS k ON k.venue = n.venue AND k.event_type = m.event_type
    WHERE m.retired_at IS NULL
    GROUP BY n.portfolio, n.native_code, m.event_type
    UNION ALL
    SELECT 'UNMAPPED', portfolio, native_code, NULL, NULL, NULL, recorded_at,
        'nothing says which asset this is', 'an [[asset]] in the configuration', concat_ws('|', 'UNMAPPED', portfolio, native_code)
    FROM named
    WHERE asset IS NULL
    UNION ALL
    SELECT 'UNMATCHED', n.portfolio, n.native_code, coalesce(t.sent_at, t.received_at), NULL, coalesce(-t.sent, t.received), n.recorded_at,
        'a leg of a transfer between own portfolios without the other one', 'the other portfolio in the configuration, or its pull',
        concat_ws('|', 'UNMATCHED', n.portfolio, n.native_code, coalesce(t.sent_at, t.received_at), coalesce(-t.sent, t.received))
    FROM transfers AS t JOIN named AS n ON n.account_id = coalesce(t.sent_by, t.received_by)
    WHERE t.sent_by IS NULL OR t.received_by IS NULL
    UNION ALL
    SELECT 'UNPRICED', NULL, asset, min(as_of), NULL, sum(balance), min(as_of),
        'held without a price: ' || reason, 'a price at the venue, or a policy', concat_ws('|', 'UNPRICED', asset, reason)
    FROM (FROM newest QUALIFY row_number() OVER (PARTITION BY portfolio, native_code ORDER BY as_of DESC, calendar) = 1)
    WHERE asset IS NOT NULL AND balance <> 0 AND price IS NULL
    GROUP BY asset, reason
), numbered AS (
    SELECT CASE WHEN matter = 'POST_CLOSE' THEN key ELSE left(md5(key), 8) END AS issue, * FROM found
), decided AS (
    SELECT subject, arg_max(decided_by, recorded_at) AS decided_by, arg_max(reason, recorded_at) AS reason
    FROM decisions WHERE kind IN ('ACCEPTANCE', 'DISPOSITION') GROUP BY subject
), assigned AS (
    SELECT subject, arg_max(owner, recorded_at) AS owner FROM decisions WHERE kind = 'ASSIGNMENT' GROUP BY subject
)
SELECT
    f.issue, f.matter, p.entity, p.venue, f.portfolio, f.native_code, f.since, f.until, f.amount, f.says, f.first_seen,
    date_diff('day', f.first_seen, (SELECT max(built_at) FROM publications)) AS age_days, coalesce(a.owner, p.owner) AS owner,
    CASE WHEN d.subject IS NULL THEN 'OPEN' WHEN f.matter = 'POST_CLOSE' THEN 'CARRIED' ELSE 'ACCEPTED' END AS state,
    d.decided_by AS accepted_by, d.reason AS accepted_because, f.resolved_by
FROM numbered AS f
LEFT JOIN portfolios AS p USING (portfolio)
LEFT JOIN decided AS d ON d.subject = f.issue
LEFT JOIN assigned AS a ON a.subject = f.issue
