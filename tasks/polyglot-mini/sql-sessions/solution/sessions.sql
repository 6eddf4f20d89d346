WITH clean AS (
    SELECT min(id) AS id, visitor, viewed, page
    FROM views
    WHERE visitor IS NOT NULL AND NOT EXISTS (SELECT 1 FROM robots WHERE substr(visitor, 1, length(prefix)) = prefix)
    GROUP BY visitor, viewed, page
),
marked AS (
    SELECT *, lag(viewed) OVER (PARTITION BY visitor ORDER BY viewed, id) AS before FROM clean
),
numbered AS (
    SELECT *, sum(before IS NULL OR viewed - before >= 1800 OR date(viewed, 'unixepoch') <> date(before, 'unixepoch'))
        OVER (PARTITION BY visitor ORDER BY viewed, id) AS session
    FROM marked
),
ends AS (
    SELECT *, first_value(page) OVER w AS entry, last_value(page) OVER w AS exit
    FROM numbered
    WINDOW w AS (PARTITION BY visitor, session ORDER BY viewed, id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
)
SELECT visitor, session, datetime(min(viewed), 'unixepoch') AS start, max(viewed) - min(viewed) AS seconds,
    count(DISTINCT page) AS pages, entry, exit, count(*) = 1 AS bounced
FROM ends
GROUP BY visitor, session, entry, exit
ORDER BY start, visitor, session;
