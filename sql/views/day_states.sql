-- Each closed day's state: CLOSED, LOCKED, or REOPENED after a lock; by whom and why, as the journal had it when this was published.
SELECT
    c.calendar, c.day, c.as_of,
    CASE arg_max(d.kind, d.recorded_at) WHEN 'LOCK' THEN 'LOCKED' WHEN 'REOPEN' THEN 'REOPENED' ELSE 'CLOSED' END AS state,
    arg_max(d.decided_by, d.recorded_at) AS decided_by, arg_max(d.reason, d.recorded_at) AS reason, max(d.recorded_at) AS decided_at
FROM closed_days AS c
LEFT JOIN decisions AS d ON d.calendar = c.calendar AND ((d.kind = 'LOCK' AND c.day <= d.day) OR (d.kind = 'REOPEN' AND c.day >= d.day))
GROUP BY c.calendar, c.day, c.as_of
