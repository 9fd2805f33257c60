-- compatible: yes
-- The greatest UIDVALIDITY that was ever given to a mailbox of the account, deleted ones too: what is made next gets more
-- (RFC 9051 §2.3.1.1). Zero where none was given since this column is there.
alter table account_state add column last_uid_validity bigint not null default 0;
