-- compatible: yes
-- The day that stands in the Date field, whatever its zone, in days since 1970: IMAP searches for it (RFC 9051 §6.4.4
-- SENTON). Null without a date, and in rows of earlier versions, which searches take by their day in UTC.
alter table email add column sent_day integer;
