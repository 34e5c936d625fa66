-- A token of an application registers its identifiers and does nothing else.
ALTER TABLE admin_tokens ADD COLUMN application TEXT COLLATE "C";
