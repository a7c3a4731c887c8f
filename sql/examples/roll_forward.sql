-- How did each account get from its first balance of the newest month to its last: what came in, what went out?
WITH month AS (
    SELECT calendar, date_trunc('month', max(day))::DATE AS since, max(day) AS until FROM closed_days GROUP BY calendar
), moved AS (
    SELECT
        r.calendar, m.since, m.until, r.entity, r.portfolio, r.native_code, arg_min_null(r.opening, r.day) AS opening,
        sum(r.received) AS received, sum(r.paid) AS paid, arg_max_null(r.closing, r.day) AS closing, sum(r.movements) AS movements
    FROM roll_forward AS r
    JOIN month AS m ON m.calendar = r.calendar AND r.day BETWEEN m.since AND m.until
    GROUP BY r.calendar, m.since, m.until, r.entity, r.portfolio, r.native_code
)
SELECT *, closing - opening - received - paid AS unexplained
FROM moved
ORDER BY calendar, entity, portfolio, native_code
