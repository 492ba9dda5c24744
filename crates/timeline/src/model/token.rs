//! The keys to the API.

use jiff::Timestamp;

/// A key to the API. The secret itself is never kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// 32 hex digits of the SHA-256 of the secret.
    pub id: String,
    pub name: String,
    pub role: Role,
    pub created_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}

words!(
    /// What a token may do; each includes the ones before it, but `reader` reads only.
    Role, "role" { Reader = "reader", Agent = "agent", Supervisor = "supervisor", Admin = "admin" }
);
