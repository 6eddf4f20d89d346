SELECT country, 1 AS rank, name, 0 AS turnover, 0.0 AS share FROM customers ORDER BY country;
