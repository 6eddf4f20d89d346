SELECT visitor, 1 AS session, datetime(min(viewed), 'unixepoch') AS start FROM views GROUP BY visitor;
