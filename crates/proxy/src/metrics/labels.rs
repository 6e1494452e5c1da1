//! What counts are told apart by.

/// How a request was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusClass {
    /// 1xx, which is 101 where the protocol was changed.
    Informational,
    /// 2xx.
    Success,
    /// 3xx.
    Redirection,
    /// 4xx.
    ClientError,
    /// 5xx.
    ServerError,
    /// Not at all: the client had gone.
    Gone,
}

/// How a call of a cluster ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// With an answer below 500.
    Success,
    /// With an answer of 500 or more.
    Error,
    /// There was no connection.
    Connect,
    /// No answer in time.
    Timeout,
    /// The connection broke.
    Reset,
    /// The answer was not valid.
    Invalid,
    /// The caller gave up.
    Cancelled,
}

impl StatusClass {
    /// By the place of the variant.
    pub(super) const NAMES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

    /// The class of a status; 0 is for no answer.
    pub fn of(status: u16) -> Self {
        match status / 100 {
            0 => Self::Gone,
            1 => Self::Informational,
            2 => Self::Success,
            3 => Self::Redirection,
            4 => Self::ClientError,
            _ => Self::ServerError,
        }
    }
}

impl Outcome {
    /// By the place of the variant.
    pub(super) const NAMES: [&str; 7] =
        ["success", "error", "connect", "timeout", "reset", "invalid", "cancelled"];

    /// The outcome of an attempt that was answered.
    pub fn of(status: u16) -> Self {
        if status < 500 { Self::Success } else { Self::Error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_its_class() {
        let classes = [0, 101, 200, 304, 404, 503, 999]
            .map(|status| StatusClass::NAMES[StatusClass::of(status) as usize]);
        assert_eq!(classes, ["none", "1xx", "2xx", "3xx", "4xx", "5xx", "5xx"]);
        let outcomes = [Outcome::of(200), Outcome::of(404), Outcome::of(500), Outcome::Cancelled];
        assert_eq!(
            outcomes.map(|o| Outcome::NAMES[o as usize]),
            ["success", "success", "error", "cancelled"]
        );
    }
}
