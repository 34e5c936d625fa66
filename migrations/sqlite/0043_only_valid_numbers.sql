-- 1: typed numbers are texted only if the numbering plan of their country has such numbers.
ALTER TABLE text_policies ADD COLUMN only_valid INTEGER NOT NULL DEFAULT 0;
