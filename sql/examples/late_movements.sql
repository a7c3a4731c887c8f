-- Why did a closed day change? What venues showed, or took back, only after the day had first been closed; by how much each moved it.
WITH told AS (
    SELECT account_id, occurred_at, event_type, event_id, amount, recorded_at AS known_since, 1 AS sign FROM postings
    UNION ALL
    SELECT account_id, occurred_at, event_type, event_id, amount, retired_at, -1 FROM postings WHERE retired_at IS NOT NULL
), news AS ( -- taken back and shown again at once with another balance after it: no news
    SELECT account_id, occurred_at, event_type, event_id, known_since, sum(sign * amount) AS effect
    FROM told
    GROUP BY account_id, occurred_at, event_type, event_id, known_since
    HAVING effect <> 0
)
SELECT
    k.calendar, c.day, c.recorded_at AS first_closed_at, n.known_since, n.occurred_at, a.portfolio, a.native_code, n.event_type,
    n.event_id, n.effect
FROM news AS n
JOIN accounts AS a USING (account_id)
CROSS JOIN calendars AS k
ASOF JOIN closed_days AS c ON c.calendar = k.calendar AND n.occurred_at < c.as_of
WHERE n.known_since > c.recorded_at
ORDER BY n.known_since DESC, n.occurred_at, a.portfolio, a.native_code, n.event_id, k.calendar
