.bail on
CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL, amount INTEGER);
BEGIN;
WITH RECURSIVE counter(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counter WHERE n < ROWS)
INSERT INTO item SELECT n, 'item ' || (n * 7919 % 10007), n % 97 FROM counter;
COMMIT;
CREATE INDEX item_name ON item (name);
SELECT count(*), sum(amount), min(name), max(name) FROM item;
SELECT amount, count(*) FROM item GROUP BY amount ORDER BY amount DESC LIMIT 3;
SELECT count(*) FROM item AS one JOIN item AS other ON one.name = other.name WHERE one.id < 1000;
BEGIN;
DELETE FROM item WHERE id % 2 = 0;
SELECT count(*) FROM item;
ROLLBACK;
UPDATE item SET name = name || '!' WHERE id % 10 = 0;
DELETE FROM item WHERE id % 3 = 0;
VACUUM;
PRAGMA integrity_check;
SELECT count(*), sum(length(name)) FROM item;
INSERT INTO item VALUES (1, 'twice', 0);
