-- compatible: yes
-- The outbound queue: one row per message, one per recipient that is still to be served.
-- A message's bytes are here when they are small, else in the blob store; the collector of unused blobs must keep every
-- blob_id that queue_message names.
create table queue_message (
  id bigint generated always as identity primary key,
  -- '' is the null reverse-path
  reverse_path text not null,
  raw bytea,
  -- SHA-256, as in blob.id
  blob_id bytea,
  size_bytes integer not null,
  -- RFC 3461 ENVID and RET
  envelope_id text,
  ret text check (ret in ('full', 'hdrs')),
  -- the account that handed it in; no reference: an account's end does not call back its mail
  account_id text,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  check (num_nonnulls(raw, blob_id) = 1)
);
alter table queue_message alter column raw set storage external;
create index queue_message_blob on queue_message (blob_id) where blob_id is not null;

create table queue_recipient (
  id bigint generated always as identity primary key,
  message_id bigint not null references queue_message (id) on delete cascade,
  address text not null,
  -- lower case; the unit of one delivery together with message_id
  domain text not null,
  -- RFC 3461 NOTIFY and ORCPT
  notify text[],
  orcpt text,
  attempts integer not null default 0,
  next_attempt_at timestamptz not null,
  last_reply text,
  delay_reported boolean not null default false,
  -- the process (see Database.owner) that delivers it now, and until when nobody else may
  lease_owner integer,
  lease_until timestamptz
);
create index queue_recipient_due on queue_recipient (next_attempt_at);
create index queue_recipient_message on queue_recipient (message_id, domain);
create index queue_recipient_lease on queue_recipient (lease_owner) where lease_owner is not null;
