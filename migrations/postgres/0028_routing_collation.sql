-- Compared by its bytes, like every text.
ALTER TABLE sessions ALTER COLUMN routing TYPE TEXT COLLATE "C";
