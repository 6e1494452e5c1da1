CREATE TABLE notifications_messages (
    id TEXT PRIMARY KEY,
    -- The sender's; the same again is the same message.
    idempotency_key TEXT UNIQUE,
    recipient TEXT NOT NULL,
    subject TEXT NOT NULL,
    body TEXT NOT NULL,
    -- queued, sent or failed
    status TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    -- When to try next.
    due_ms BIGINT NOT NULL,
    -- Until when somebody is delivering it.
    lease_until_ms BIGINT NOT NULL,
    last_error TEXT,
    created_ms BIGINT NOT NULL
);

-- The courier's question.
CREATE INDEX notifications_due ON notifications_messages (status, due_ms);
