-- Each closed day's state: CLOSED, LOCKED, or REOPENED after a lock; by whom and why, as the journal had it when this was published.
WITH locked AS (
    SELECT c.calendar, c.day, c.as_of, d.recorded_at, d.decided_by, d.reason, 'LOCKED' AS state
    FROM closed_days AS c JOIN decisions AS d ON d.kind = 'LOCK' AND d.calendar = c.calendar AND c.day BETWEEN d.first AND d.day
), reopened AS ( -- only what was locked before can be
    SELECT DISTINCT l.calendar, l.day, l.as_of, d.recorded_at, d.decided_by, d.reason, 'REOPENED' AS state
    FROM locked AS l
    JOIN decisions AS d ON d.kind = 'REOPEN' AND d.calendar = l.calendar AND l.day >= d.day AND l.recorded_at < d.recorded_at
), newest AS (
    SELECT * FROM (FROM locked UNION ALL FROM reopened)
    QUALIFY row_number() OVER (PARTITION BY calendar, day ORDER BY recorded_at DESC) = 1
)
SELECT c.calendar, c.day, c.as_of, coalesce(n.state, 'CLOSED') AS state, n.decided_by, n.reason, n.recorded_at AS decided_at
FROM closed_days AS c LEFT JOIN newest AS n USING (calendar, day)
