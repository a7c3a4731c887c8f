-- What exists at the venues beside what is configured: a row without a portfolio is in nobody's book. Venues that tell of others only.
WITH told AS (
    SELECT venue, venue_id, name, min(seen_by) AS seen_by, min(recorded_at) AS first_seen
    FROM venue_portfolios
    WHERE retired_at IS NULL
    GROUP BY venue, venue_id, name
)
SELECT coalesce(p.entity, s.entity) AS entity, t.venue, t.venue_id, t.name, p.portfolio, t.seen_by, t.first_seen
FROM told AS t
JOIN portfolios AS s ON s.portfolio = t.seen_by
LEFT JOIN portfolios AS p ON p.venue = t.venue AND p.venue_id = t.venue_id
UNION ALL
SELECT entity, venue, venue_id, NULL, portfolio, portfolio, recorded_at
FROM portfolios AS p
WHERE NOT EXISTS (SELECT 1 FROM told AS t WHERE t.venue = p.venue AND t.venue_id = p.venue_id)
