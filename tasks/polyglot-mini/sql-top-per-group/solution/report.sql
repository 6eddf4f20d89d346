WITH people AS (
    SELECT id, name, CASE WHEN trim(coalesce(country, '')) = '' THEN 'unknown' ELSE upper(trim(country)) END AS country
    FROM customers
),
sums AS (
    SELECT people.country, people.id, people.name, coalesce(sum(items.quantity * items.price), 0) AS turnover
    FROM people
    LEFT JOIN orders ON orders.customer = people.id AND NOT orders.cancelled AND orders.ordered >= '2026-01-01' AND orders.ordered < '2027'
    LEFT JOIN items ON items.order_id = orders.id
    GROUP BY people.id
),
ranked AS (
    SELECT country, rank() OVER (PARTITION BY country ORDER BY turnover DESC) AS rank, name, turnover,
        sum(turnover) OVER (PARTITION BY country) AS whole
    FROM sums
)
SELECT country, rank, name, turnover, CASE WHEN whole = 0 THEN 0.0 ELSE round(100.0 * turnover / whole, 1) END AS share
FROM ranked
WHERE rank <= 3
ORDER BY country, rank, name;
