CREATE TABLE payments_payments (
    id TEXT PRIMARY KEY,
    -- Chosen by the one who asks; the same again is the same payment.
    reference TEXT NOT NULL UNIQUE,
    amount BIGINT NOT NULL CHECK (amount BETWEEN 0 AND 999999999999),
    -- authorised, captured, refunded, voided or declined
    status TEXT NOT NULL,
    -- True for a reference that was voided before it was paid: no payment, but there must never be one.
    tombstone BOOLEAN NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL
);

-- One row once the demo data were considered, so that they come only once.
CREATE TABLE payments_demo (
    id BIGINT PRIMARY KEY,
    done_ms BIGINT NOT NULL
);
