CREATE TABLE log (entry TEXT);
CREATE TRIGGER users_log AFTER INSERT ON users BEGIN
  INSERT INTO log VALUES ('new; ' || new.name); -- a ';' in a string
END;
