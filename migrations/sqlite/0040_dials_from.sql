-- Where a device's user is: country by ISO 3166-1, and area code (REG-10).
ALTER TABLE devices ADD COLUMN country TEXT;
ALTER TABLE devices ADD COLUMN area TEXT;
