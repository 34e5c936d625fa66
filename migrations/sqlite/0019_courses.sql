-- How each invited user's ringing goes on, sealed; none if nothing goes on.
ALTER TABLE invitations ADD COLUMN course TEXT;
-- How often a timer could not be fired.
ALTER TABLE timers ADD COLUMN tries INTEGER NOT NULL DEFAULT 0;
