-- compatible: no
-- Accounts, mailboxes, messages, blobs. Times of messages are milliseconds since 1970 (bigint): exact in JavaScript and
-- cheap to read by the ten thousand. JSON that is only ever read back whole is text: nothing here looks into it.

create table account (
  id bigint generated always as identity primary key,
  address text not null unique,
  display_name text,
  password_hash text,
  disabled boolean not null default false,
  quota_bytes bigint,
  created_at timestamptz not null default now()
);

-- Every address that leads to an account: its own and its aliases. One row per address makes them unique.
create table account_address (
  address text primary key,
  account_id bigint not null references account on delete cascade
);
create index account_address_account on account_address (account_id);

-- What changes with every delivery, apart from the account. Its row lock is the account's writer lock: whoever changes an
-- account's mail takes it first (several accounts in id order), so that mailbox rows need no lock of their own and
-- replicas cannot deadlock.
create table account_state (
  account_id bigint primary key references account on delete cascade,
  mod_seq bigint not null default 1,
  used_bytes bigint not null default 0,
  -- The change log reaches back to here: changes since an older state cannot be told.
  log_floor bigint not null default 1
) with (fillfactor = 50);

create table mailbox (
  id bigint generated always as identity primary key,
  account_id bigint not null references account on delete cascade,
  parent_id bigint references mailbox,
  name text not null,
  path text not null,
  role text,
  sort_order integer not null default 0,
  subscribed boolean not null default true,
  uid_validity bigint not null,
  uid_next bigint not null default 1,
  highest_mod_seq bigint not null,
  total_emails integer not null default 0,
  unread_emails integer not null default 0,
  total_threads integer not null default 0,
  unread_threads integer not null default 0,
  size_bytes bigint not null default 0,
  unique (account_id, path)
) with (fillfactor = 50);
create unique index mailbox_role on mailbox (account_id, role) where role is not null;
create index mailbox_parent on mailbox (parent_id) where parent_id is not null;

-- One message of one account; never changed. Ids come in blocks, one per process.
create sequence email_id increment by 1000;
create table email (
  id bigint primary key,
  account_id bigint not null,
  thread_id bigint not null,
  blob_id bytea not null,
  size_bytes integer not null,
  received_at bigint not null,
  sent_at bigint,
  has_attachment boolean not null,
  envelope text not null,
  structure text not null,
  -- JSON: subject, from, to, cc, messageId, inReplyTo, references
  headers text not null,
  preview text not null,
  -- Lower-cased by the engine, so that a search does not depend on the database's locale (CloudNativePG's default is C).
  search_subject text not null,
  search_from text not null,
  search_to text not null,
  search_cc text not null,
  search_bcc text not null
);
-- Whether a blob is still referenced, and whether an account may read it.
create index email_blob on email (blob_id, account_id);

-- An email in a mailbox under a UID. No index on mod_seq or keywords: changing flags stays within the page (HOT).
create table membership (
  mailbox_id bigint not null,
  uid bigint not null,
  email_id bigint not null,
  thread_id bigint not null,
  received_at bigint not null,
  size_bytes integer not null,
  mod_seq bigint not null,
  keywords text[] not null,
  primary key (mailbox_id, uid)
) with (fillfactor = 50);
create index membership_received on membership (mailbox_id, received_at desc, email_id desc);
create index membership_thread on membership (thread_id, email_id);

-- RFC 8621 §3: messages belong to one thread when they share a message id and the base subject. `ref` is 64 bits of a hash
-- of both.
create table thread_ref (
  account_id bigint not null,
  ref bigint not null,
  thread_id bigint not null,
  primary key (account_id, ref)
);

-- One row per change of an account. delta is JSON, see change-log.ts.
create table change_log (
  account_id bigint not null,
  mod_seq bigint not null,
  delta text not null,
  primary key (account_id, mod_seq)
);

-- Every blob that is or may be stored. bytes is null when they lie in the bucket.
create table blob (
  id bytea primary key,
  size_bytes integer not null,
  -- Set anew whenever the same bytes arrive again: the collector looks at old ones only.
  touched_at timestamptz not null default now(),
  -- False while they are on their way to the bucket.
  stored boolean not null default true,
  bytes bytea
) with (fillfactor = 80);
-- Mail compresses little and is read whole: out of line, as it is.
alter table blob alter column bytes set storage external;

-- JMAP uploads (RFC 8620 §6.1), until they expire.
create table upload (
  account_id bigint not null references account on delete cascade,
  blob_id bytea not null,
  uploaded_at timestamptz not null default now(),
  primary key (account_id, blob_id)
);
create index upload_blob on upload (blob_id);

-- Acceptances whose reply the client may not have seen.
create table delivery_receipt (
  key text primary key,
  owner integer not null,
  created_at timestamptz not null default now()
);

-- Work that one replica does at a time.
create table lease (
  name text primary key,
  holder text not null,
  expires_at timestamptz not null,
  done_at timestamptz
);
