-- What a session's routing goes on with, sealed; none if nothing goes on.
ALTER TABLE sessions ADD COLUMN routing TEXT;
