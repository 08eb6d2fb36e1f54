-- The tables of Belfry, as numbered migrations in order. A migration that has been
-- released is never edited; what changes is appended. A section without a database's
-- name runs on both. Times are UTC microseconds, ids are UUIDv7 in canonical text,
-- JSON is text in stored form (compact, keys as they came).

-- migration 1: users and groups, tokens, events and notifications, rules and transports

-- Integer keys that are never given out twice: the pk of a user, the num_pk of a group.
CREATE TABLE serial (
    name  TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO serial (name, value) VALUES ('user', 0), ('group', 0);

-- Goes up with every change that can alter which rules match an event or who receives it,
-- so that what was prepared outside a write is known to be stale inside it.
CREATE TABLE generation (
    id    INTEGER PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO generation (id, value) VALUES (1, 1);

CREATE TABLE app_user (
    pk                   BIGINT PRIMARY KEY,
    uuid                 TEXT NOT NULL UNIQUE,
    username             TEXT NOT NULL UNIQUE,
    name                 TEXT NOT NULL,
    email                TEXT NOT NULL,
    path                 TEXT NOT NULL,
    type                 TEXT NOT NULL,
    is_active            BOOLEAN NOT NULL,
    attributes           TEXT NOT NULL,
    password             TEXT NOT NULL, -- argon2id in PHC form, or '' for none
    date_joined          BIGINT NOT NULL,
    last_updated         BIGINT NOT NULL,
    last_login           BIGINT,
    password_change_date BIGINT NOT NULL
);

CREATE TABLE user_group (
    pk           TEXT PRIMARY KEY,
    num_pk       BIGINT NOT NULL UNIQUE,
    name         TEXT NOT NULL UNIQUE,
    is_superuser BOOLEAN NOT NULL,
    parent_pk    TEXT REFERENCES user_group (pk) ON DELETE SET NULL,
    attributes   TEXT NOT NULL
);
CREATE INDEX user_group_parent ON user_group (parent_pk);

CREATE TABLE membership (
    group_pk TEXT NOT NULL REFERENCES user_group (pk) ON DELETE CASCADE,
    user_pk  BIGINT NOT NULL REFERENCES app_user (pk) ON DELETE CASCADE,
    PRIMARY KEY (group_pk, user_pk)
);
CREATE INDEX membership_user ON membership (user_pk);

CREATE TABLE token (
    pk          TEXT PRIMARY KEY,
    identifier  TEXT NOT NULL UNIQUE,
    user_pk     BIGINT NOT NULL REFERENCES app_user (pk) ON DELETE CASCADE,
    intent      TEXT NOT NULL,
    description TEXT NOT NULL,
    expiring    BOOLEAN NOT NULL,
    expires     BIGINT NOT NULL,
    scopes      TEXT NOT NULL, -- names, separated by one space
    key_hash    TEXT NOT NULL UNIQUE, -- SHA-256 in hexadecimal
    created     BIGINT NOT NULL
);
CREATE INDEX token_user ON token (user_pk);

-- What is filtered on is a column of its own, written with the event.
CREATE TABLE event (
    pk               TEXT PRIMARY KEY,
    created          BIGINT NOT NULL,
    expires          BIGINT NOT NULL,
    action           TEXT NOT NULL,
    app              TEXT NOT NULL,
    client_ip        TEXT,
    origin           TEXT NOT NULL, -- api, trail, script, delivery, system
    user_json        TEXT NOT NULL,
    context          TEXT NOT NULL,
    brand            TEXT NOT NULL,
    user_pk          BIGINT, -- user.pk
    username         TEXT,   -- user.username
    context_username TEXT,   -- context.username
    model_app        TEXT,   -- context.model.app
    model_name       TEXT,   -- context.model.model_name
    model_pk         TEXT,   -- context.model.pk, integers in decimal
    application_pk   TEXT,   -- context.authorized_application.pk
    application      TEXT,   -- context.authorized_application, keys sorted, for grouping
    brand_name       TEXT,   -- brand.name
    folded           TEXT NOT NULL -- pk, user, action, app, context and client_ip in folded case, one a line, for search
);
CREATE INDEX event_created ON event (created, pk);
CREATE INDEX event_action ON event (action, created, pk);
CREATE INDEX event_username ON event (username, created, pk);
CREATE INDEX event_context_username ON event (context_username, created, pk);
CREATE INDEX event_client_ip ON event (client_ip, created, pk);
CREATE INDEX event_expires ON event (expires);

-- How many events there are of each hour and action, kept in the event's own transaction.
CREATE TABLE event_hour (
    hour   BIGINT NOT NULL, -- the hour's first microsecond
    action TEXT NOT NULL,
    slot   INTEGER NOT NULL, -- 0 on SQLite; spread on PostgreSQL, where one hot row would queue all inserts
    count  BIGINT NOT NULL,
    PRIMARY KEY (hour, action, slot)
);

-- No foreign key to event: the store unlinks, so that event can be partitioned later.
CREATE TABLE notification (
    pk              TEXT PRIMARY KEY,
    user_pk         BIGINT NOT NULL REFERENCES app_user (pk) ON DELETE CASCADE,
    event_pk        TEXT,
    rule_pk         TEXT, -- what made it; kept after the rule is gone
    transport_pk    TEXT,
    severity        TEXT NOT NULL,
    body            TEXT NOT NULL,
    folded          TEXT NOT NULL, -- body in folded case, for search
    created         BIGINT NOT NULL,
    seen            BOOLEAN NOT NULL,
    seen_at         BIGINT, -- when it was last marked as seen; null while unseen
    hyperlink       TEXT,
    hyperlink_label TEXT
);
CREATE INDEX notification_user ON notification (user_pk, created, pk);
CREATE INDEX notification_user_seen ON notification (user_pk, seen, created, pk);
CREATE INDEX notification_event ON notification (event_pk);
CREATE INDEX notification_created ON notification (created, pk);
CREATE INDEX notification_seen_at ON notification (seen_at);

-- When retention last trusted the clock, and how long it has been doubting it since (microseconds).
CREATE TABLE sweep (
    id      INTEGER PRIMARY KEY,
    wall    BIGINT NOT NULL,
    doubted BIGINT NOT NULL
);

-- Expressions that make what webhooks send.
CREATE TABLE mapping (
    pk         TEXT PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    expression TEXT NOT NULL
);

CREATE TABLE transport (
    pk                   TEXT PRIMARY KEY,
    name                 TEXT NOT NULL UNIQUE,
    mode                 TEXT NOT NULL,
    webhook_url          TEXT NOT NULL,
    body_mapping_pk      TEXT REFERENCES mapping (pk) ON DELETE SET NULL, -- "webhook_mapping" in the API
    headers_mapping_pk   TEXT REFERENCES mapping (pk) ON DELETE SET NULL,
    send_once            BOOLEAN NOT NULL,
    email_subject_prefix TEXT NOT NULL,
    email_template       TEXT NOT NULL
);
CREATE INDEX transport_body_mapping ON transport (body_mapping_pk);
CREATE INDEX transport_headers_mapping ON transport (headers_mapping_pk);

CREATE TABLE rule (
    pk                     TEXT PRIMARY KEY,
    name                   TEXT NOT NULL UNIQUE,
    severity               TEXT NOT NULL,
    group_pk               TEXT REFERENCES user_group (pk) ON DELETE SET NULL,
    destination_event_user BOOLEAN NOT NULL
);
CREATE INDEX rule_group ON rule (group_pk);

CREATE TABLE rule_transport (
    rule_pk      TEXT NOT NULL REFERENCES rule (pk) ON DELETE CASCADE,
    transport_pk TEXT NOT NULL REFERENCES transport (pk) ON DELETE CASCADE,
    PRIMARY KEY (rule_pk, transport_pk)
);
CREATE INDEX rule_transport_transport ON rule_transport (transport_pk);

CREATE TABLE policy (
    pk                TEXT PRIMARY KEY,
    kind              TEXT NOT NULL, -- event_matcher, expression
    name              TEXT NOT NULL UNIQUE,
    execution_logging BOOLEAN NOT NULL,
    created           BIGINT NOT NULL,
    last_updated      BIGINT NOT NULL,
    action            TEXT, -- of an event matcher, as are the next three
    client_ip         TEXT,
    app               TEXT,
    model             TEXT,
    expression        TEXT -- of an expression
);

CREATE TABLE binding (
    pk             TEXT PRIMARY KEY,
    policy_pk      TEXT REFERENCES policy (pk) ON DELETE CASCADE,
    group_pk       TEXT REFERENCES user_group (pk) ON DELETE CASCADE,
    user_pk        BIGINT REFERENCES app_user (pk) ON DELETE CASCADE,
    target_pk      TEXT NOT NULL REFERENCES rule (pk) ON DELETE CASCADE,
    negate         BOOLEAN NOT NULL,
    enabled        BOOLEAN NOT NULL,
    position       BIGINT NOT NULL, -- "order" in the API
    timeout        BIGINT NOT NULL, -- seconds
    failure_result BOOLEAN NOT NULL,
    UNIQUE (policy_pk, target_pk, position)
);
CREATE INDEX binding_target ON binding (target_pk, position);
CREATE INDEX binding_group ON binding (group_pk);
CREATE INDEX binding_user ON binding (user_pk);

-- migration 1 postgres: text that is ordered or compared is compared byte by byte, as SQLite does
ALTER TABLE app_user
    ALTER COLUMN uuid TYPE TEXT COLLATE "C", ALTER COLUMN username TYPE TEXT COLLATE "C",
    ALTER COLUMN name TYPE TEXT COLLATE "C", ALTER COLUMN email TYPE TEXT COLLATE "C",
    ALTER COLUMN path TYPE TEXT COLLATE "C", ALTER COLUMN type TYPE TEXT COLLATE "C";
ALTER TABLE user_group ALTER COLUMN name TYPE TEXT COLLATE "C";
ALTER TABLE token
    ALTER COLUMN identifier TYPE TEXT COLLATE "C", ALTER COLUMN intent TYPE TEXT COLLATE "C",
    ALTER COLUMN description TYPE TEXT COLLATE "C";
ALTER TABLE event
    ALTER COLUMN pk TYPE TEXT COLLATE "C", ALTER COLUMN action TYPE TEXT COLLATE "C",
    ALTER COLUMN app TYPE TEXT COLLATE "C", ALTER COLUMN client_ip TYPE TEXT COLLATE "C",
    ALTER COLUMN application TYPE TEXT COLLATE "C", ALTER COLUMN folded TYPE TEXT COLLATE "C";
ALTER TABLE event_hour ALTER COLUMN action TYPE TEXT COLLATE "C";
ALTER TABLE notification
    ALTER COLUMN pk TYPE TEXT COLLATE "C", ALTER COLUMN severity TYPE TEXT COLLATE "C",
    ALTER COLUMN body TYPE TEXT COLLATE "C", ALTER COLUMN folded TYPE TEXT COLLATE "C";
ALTER TABLE mapping ALTER COLUMN name TYPE TEXT COLLATE "C", ALTER COLUMN expression TYPE TEXT COLLATE "C";
ALTER TABLE transport
    ALTER COLUMN name TYPE TEXT COLLATE "C", ALTER COLUMN mode TYPE TEXT COLLATE "C",
    ALTER COLUMN webhook_url TYPE TEXT COLLATE "C", ALTER COLUMN email_subject_prefix TYPE TEXT COLLATE "C",
    ALTER COLUMN email_template TYPE TEXT COLLATE "C";
ALTER TABLE rule ALTER COLUMN name TYPE TEXT COLLATE "C", ALTER COLUMN severity TYPE TEXT COLLATE "C";
ALTER TABLE policy
    ALTER COLUMN name TYPE TEXT COLLATE "C", ALTER COLUMN action TYPE TEXT COLLATE "C",
    ALTER COLUMN client_ip TYPE TEXT COLLATE "C", ALTER COLUMN app TYPE TEXT COLLATE "C",
    ALTER COLUMN model TYPE TEXT COLLATE "C", ALTER COLUMN expression TYPE TEXT COLLATE "C";

-- migration 2: deliveries and their attempts, and what transports need for them

-- disabled_at parks what is pending. A secret is "whsec_…" or plain text, "" for none; during a rotation there are two.
ALTER TABLE transport ADD COLUMN disabled_at BIGINT;
ALTER TABLE transport ADD COLUMN disabled_reason TEXT NOT NULL DEFAULT '';
ALTER TABLE transport ADD COLUMN secret TEXT NOT NULL DEFAULT '';
ALTER TABLE transport ADD COLUMN previous_secret TEXT NOT NULL DEFAULT '';
-- When superusers were last told that deliveries fail, and whether one has succeeded since.
ALTER TABLE transport ADD COLUMN noticed_at BIGINT;
ALTER TABLE transport ADD COLUMN recovered BOOLEAN NOT NULL DEFAULT FALSE;

-- The random name of this installation, by which it knows its own requests.
CREATE TABLE instance (
    pk INTEGER PRIMARY KEY,
    id TEXT NOT NULL
);

-- What the worker's clock said when the machine's clock said wall. It counts on where that one jumps.
CREATE TABLE delivery_clock (
    pk   INTEGER PRIMARY KEY,
    wall BIGINT NOT NULL,
    time BIGINT NOT NULL
);

-- The outbox and its log. No foreign keys: a delivery outlives its event, rule, transport and recipient.
CREATE TABLE delivery (
    pk             TEXT PRIMARY KEY, -- the same at every attempt: "webhook-id"
    event_pk       TEXT NOT NULL,
    rule_pk        TEXT, -- null for a test of the transport
    rule_name      TEXT NOT NULL, -- this and the next two as they were when the event was written
    transport_name TEXT NOT NULL,
    username       TEXT NOT NULL,
    transport_pk   TEXT NOT NULL,
    user_pk        BIGINT NOT NULL, -- the recipient
    mode           TEXT NOT NULL, -- webhook, webhook_slack, email
    state          TEXT NOT NULL, -- pending, sending, delivered, dead, cancelled
    reason         TEXT NOT NULL, -- why the last attempt failed, or why none is made; '' for none
    severity       TEXT NOT NULL,
    summary        TEXT NOT NULL, -- the readable sentence
    body           TEXT NOT NULL, -- what is sent, rendered once; of an e-mail its parts as JSON; '' where that failed
    created        BIGINT NOT NULL,
    attempts       BIGINT NOT NULL, -- made in all
    step           BIGINT NOT NULL, -- made of the schedule that runs; a retry by hand begins another
    due            BIGINT, -- the next attempt, by the worker's clock; 0 for at once; null once settled
    lease          TEXT, -- who is sending it
    lease_until    BIGINT, -- by the worker's clock; whoever comes later may send it
    settled        BIGINT, -- when it was delivered, given up or cancelled
    folded         TEXT NOT NULL, -- transport, rule, recipient and summary in folded case, one a line, for search
    UNIQUE (event_pk, rule_pk, transport_pk, user_pk)
);
CREATE INDEX delivery_due ON delivery (transport_pk, due, created, pk) WHERE due IS NOT NULL;
CREATE INDEX delivery_created ON delivery (created, pk);
CREATE INDEX delivery_state ON delivery (state, created, pk);
CREATE INDEX delivery_transport ON delivery (transport_pk, created, pk);
CREATE INDEX delivery_user ON delivery (user_pk, created, pk);
CREATE INDEX delivery_settled ON delivery (state, settled, pk) WHERE settled IS NOT NULL;

CREATE TABLE delivery_attempt (
    delivery_pk TEXT NOT NULL REFERENCES delivery (pk) ON DELETE CASCADE,
    number      BIGINT NOT NULL, -- from 1
    started     BIGINT NOT NULL,
    duration    BIGINT NOT NULL, -- microseconds
    status      BIGINT NOT NULL, -- of the HTTP answer; 0 for none
    error       TEXT NOT NULL, -- why it failed, '' where it did not
    answer      TEXT NOT NULL, -- the beginning of the answer
    headers     TEXT NOT NULL, -- those sent, as a JSON object; null in place of a value that may be a secret
    PRIMARY KEY (delivery_pk, number)
);

-- Events whose rules have yet to run, because they were not known, or had changed, when the event was written.
CREATE TABLE unmatched (
    event_pk TEXT PRIMARY KEY,
    created  BIGINT NOT NULL
);

-- When a rule last matched.
CREATE INDEX notification_rule ON notification (rule_pk, created);
CREATE INDEX delivery_rule ON delivery (rule_pk, created, pk);

-- migration 2 postgres: compared byte by byte, as SQLite does
ALTER TABLE delivery
    ALTER COLUMN pk TYPE TEXT COLLATE "C", ALTER COLUMN state TYPE TEXT COLLATE "C",
    ALTER COLUMN rule_name TYPE TEXT COLLATE "C", ALTER COLUMN transport_name TYPE TEXT COLLATE "C",
    ALTER COLUMN username TYPE TEXT COLLATE "C", ALTER COLUMN summary TYPE TEXT COLLATE "C",
    ALTER COLUMN reason TYPE TEXT COLLATE "C";

-- migration 3: sessions

-- Whoever signed in with a browser. A session that a token opened has that token's scopes and ends with it.
CREATE TABLE user_session (
    pk          TEXT PRIMARY KEY,
    user_pk     BIGINT NOT NULL REFERENCES app_user (pk) ON DELETE CASCADE,
    token_pk    TEXT REFERENCES token (pk) ON DELETE CASCADE,
    secret_hash TEXT NOT NULL UNIQUE, -- of the cookie's value: SHA-256 in hexadecimal
    created     BIGINT NOT NULL,
    last_used   BIGINT NOT NULL, -- to the minute
    expires     BIGINT NOT NULL, -- at the latest, however much it is used
    user_agent  TEXT NOT NULL,
    client_ip   TEXT
);
CREATE INDEX user_session_user ON user_session (user_pk, last_used, pk);
CREATE INDEX user_session_token ON user_session (token_pk);

-- migration 4 sqlite: an index for the search of events, made behind the writes (PostgreSQL reads the text of each event)

-- The events by event.rowid in zones of 8192, which the index holds or not as a whole. Where there is no finished zone
-- an event is found by reading it.
CREATE TABLE event_zone (
    zone    INTEGER PRIMARY KEY, -- event.rowid >> 13
    oldest  BIGINT, -- event.created, of the first and the last in time; null until the zone is finished
    newest  BIGINT,
    ordered BOOLEAN, -- rowid and (created, pk) go up together
    pk      TEXT,    -- of one event, with its rowid: when the two part, somebody has renumbered the table
    number  BIGINT
);

-- What the zones' texts hold, as blocks of internal/trigram.
CREATE TABLE event_trigram (
    zone INTEGER NOT NULL REFERENCES event_zone (zone) ON DELETE CASCADE,
    gram BIGINT NOT NULL, -- the first in the block
    data BLOB NOT NULL,
    PRIMARY KEY (zone, gram)
);

-- Events of zones (event.rowid) that were changed or deleted after the index had read them.
CREATE TABLE event_stale (number INTEGER PRIMARY KEY);

CREATE TRIGGER event_edited AFTER UPDATE OF folded, created ON event
WHEN (new.folded <> old.folded OR new.created <> old.created) AND EXISTS (SELECT 1 FROM event_zone WHERE zone = old.rowid >> 13) BEGIN
    INSERT INTO event_stale (number) VALUES (old.rowid) ON CONFLICT DO NOTHING;
END;

CREATE TRIGGER event_deleted AFTER DELETE ON event
WHEN EXISTS (SELECT 1 FROM event_zone WHERE zone = old.rowid >> 13) BEGIN
    INSERT INTO event_stale (number) VALUES (old.rowid) ON CONFLICT DO NOTHING;
END;

-- SQLite gives the next event the number after the highest there is, so that those of the last ones come again when these
-- are deleted: no zone may hold a number that is still to come.
CREATE TRIGGER event_last_deleted AFTER DELETE ON event
WHEN old.rowid > (SELECT coalesce(max(rowid), 0) FROM event) BEGIN
    DELETE FROM event_zone WHERE zone >= (SELECT coalesce(max(rowid), 0) + 1 FROM event) >> 13;
END;

-- migration 5: indexes that are cheaper to keep, for every filter that looks for one thing; counters that need not be added up

-- An index ends in the time alone: the few rows of one moment are put in the order of their keys when they are read. The
-- action is in those of users and addresses because it is what they are most often narrowed by.
DROP INDEX event_action;
DROP INDEX event_username;
DROP INDEX event_context_username;
DROP INDEX event_client_ip;
CREATE INDEX event_action ON event (action, created);
CREATE INDEX event_username ON event (username, created, action) WHERE username IS NOT NULL;
CREATE INDEX event_context_username ON event (context_username, created, action) WHERE context_username IS NOT NULL;
CREATE INDEX event_client_ip ON event (client_ip, created, action) WHERE client_ip IS NOT NULL;
CREATE INDEX event_model_pk ON event (model_pk, created) WHERE model_pk IS NOT NULL;
CREATE INDEX event_application_pk ON event (application_pk, created) WHERE application_pk IS NOT NULL;

DROP INDEX notification_user;
DROP INDEX notification_user_seen;
DROP INDEX notification_event;
DROP INDEX notification_seen_at;
DROP INDEX notification_rule;
CREATE INDEX notification_user ON notification (user_pk, created);
CREATE INDEX notification_user_seen ON notification (user_pk, seen, created, seen_at); -- seen_at is for retention, which reads it all
CREATE INDEX notification_event ON notification (event_pk) WHERE event_pk IS NOT NULL;
CREATE INDEX notification_rule ON notification (rule_pk, created) WHERE rule_pk IS NOT NULL;

-- Up to which hour the counters are added up in event_past.
CREATE TABLE event_past_end (
    id   INTEGER PRIMARY KEY,
    hour BIGINT NOT NULL
);
INSERT INTO event_past_end (id, hour) VALUES (1, 0);

-- migration 5 sqlite: counters are read in the order of their key
ALTER TABLE event_hour RENAME TO event_hour_before;
CREATE TABLE event_hour (
    hour   BIGINT NOT NULL,
    action TEXT NOT NULL,
    slot   INTEGER NOT NULL,
    count  BIGINT NOT NULL,
    PRIMARY KEY (hour, action, slot)
) WITHOUT ROWID;
INSERT INTO event_hour (hour, action, slot, count) SELECT hour, action, slot, count FROM event_hour_before;
DROP TABLE event_hour_before;
CREATE INDEX event_hour_action ON event_hour (action, hour);
CREATE INDEX event_hour_empty ON event_hour (hour, action) WHERE count <= 0;

-- What the counters of past hours add up to, so that nobody has to add them up again: of an action of all time (span 0, start 0),
-- of an action in six hours from start on (span 1), of all actions in an hour (span 2, action '').
CREATE TABLE event_past (
    span   INTEGER NOT NULL,
    start  BIGINT NOT NULL,
    action TEXT NOT NULL,
    count  BIGINT NOT NULL,
    PRIMARY KEY (span, start, action)
) WITHOUT ROWID;

-- How often applications were used, by the events whose context names one, and by whom.
CREATE TABLE event_application (
    action      TEXT NOT NULL,
    application TEXT NOT NULL, -- event.application
    user_pk     TEXT NOT NULL, -- event.user_pk in decimal, '' for none
    count       BIGINT NOT NULL,
    PRIMARY KEY (action, application, user_pk)
) WITHOUT ROWID;
INSERT INTO event_application (action, application, user_pk, count)
    SELECT action, application, coalesce(CAST(user_pk AS TEXT), ''), count(*) FROM event WHERE application IS NOT NULL GROUP BY 1, 2, 3;

-- migration 5 postgres: the same, with text that is compared byte by byte
CREATE TABLE event_past (
    span   INTEGER NOT NULL,
    start  BIGINT NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    count  BIGINT NOT NULL,
    PRIMARY KEY (span, start, action)
);
CREATE INDEX event_hour_action ON event_hour (action, hour);
CREATE INDEX event_hour_empty ON event_hour (hour, action) WHERE count <= 0;
CREATE TABLE event_application (
    action      TEXT COLLATE "C" NOT NULL,
    application TEXT COLLATE "C" NOT NULL,
    user_pk     TEXT COLLATE "C" NOT NULL,
    count       BIGINT NOT NULL,
    PRIMARY KEY (action, application, user_pk)
);
INSERT INTO event_application (action, application, user_pk, count)
    SELECT action, application, coalesce(CAST(user_pk AS TEXT), ''), count(*) FROM event WHERE application IS NOT NULL GROUP BY 1, 2, 3;
