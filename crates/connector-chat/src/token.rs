//! Who a visitor is by the word of the site: a signed token.

use connector::Secret;
use connector::number::Region;
use contact::Party;
use jiff::Timestamp;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

use crate::address;
use crate::frame::{Code, clean};

/// A longer token, in bytes, is refused unread.
const LONGEST: usize = 8 * 1024;
/// A longer `sub`, in bytes, names nobody.
const LONGEST_SUB: usize = 255;
/// How far the site's clock may be from ours, in seconds.
const LEEWAY: f64 = 30.0;

/// By which key the site's tokens are checked, and what they must say.
#[derive(Clone, Debug)]
pub struct Identity {
    pub secret: Secret,
    /// Where given, `aud` must name it.
    pub audience: Option<String>,
    /// Where given, `iss` must be it.
    pub issuer: Option<String>,
}

/// What a token proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The site's own id of the person.
    pub sub: String,
    pub name: Option<String>,
    /// E-mail address and telephone number, each canonical; one that is no address is left out.
    pub parties: Vec<Party>,
}

/// Why a token proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unproved {
    #[error("the token is not valid: {0}")]
    Bad(String),
    #[error("the token has expired")]
    Expired,
}

impl Unproved {
    pub(crate) fn code(&self) -> Code {
        match self {
            Unproved::Bad(_) => Code::BadToken,
            Unproved::Expired => Code::ExpiredToken,
        }
    }
}

/// As they are written; a numeric date may have a fraction (RFC 7519 section 2).
#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: f64,
    #[serde(default)]
    nbf: Option<f64>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    phone: Option<String>,
    #[serde(default)]
    name: Option<String>,
}

impl Identity {
    /// What `token` proves at `now`. Only HS256 is a signature here, whatever the token says of itself.
    ///
    /// # Errors
    /// When it proves nothing; nothing of it may then be believed.
    pub fn prove(&self, token: &str, region: Option<Region>, now: Timestamp) -> Result<Proof, Unproved> {
        if token.len() > LONGEST {
            return Err(Unproved::Bad("it is too long".to_owned()));
        }
        let mut rules = Validation::new(Algorithm::HS256);
        let mut required = vec!["exp", "sub"];
        // The time is an argument here, so it is judged below.
        rules.validate_exp = false;
        rules.validate_aud = self.audience.is_some();
        if let Some(audience) = &self.audience {
            rules.set_audience(&[audience]);
            required.push("aud");
        }
        if let Some(issuer) = &self.issuer {
            rules.set_issuer(&[issuer]);
            required.push("iss");
        }
        rules.set_required_spec_claims(&required);
        let key = DecodingKey::from_secret(self.secret.expose());
        let claims = jsonwebtoken::decode::<Claims>(token, &key, &rules).map_err(reason)?.claims;

        let now = now.as_microsecond() as f64 / 1e6;
        if now >= claims.exp + LEEWAY {
            return Err(Unproved::Expired);
        }
        if claims.nbf.is_some_and(|from| now < from - LEEWAY) {
            return Err(Unproved::Bad("it is not valid yet".to_owned()));
        }
        if claims.sub.is_empty() || claims.sub.len() > LONGEST_SUB {
            return Err(Unproved::Bad(format!("`sub` has from 1 to {LONGEST_SUB} bytes")));
        }
        let name =
            claims.name.map(|name| clean(&name, address::LONGEST_NAME)).filter(|name| !name.is_empty());
        let email = claims.email.map(|raw| address::email(&raw, name.clone()));
        let phone = claims.phone.map(|raw| address::phone(&raw, name.clone(), region));
        let parties = email.into_iter().chain(phone).filter(|party| party.value.is_some()).collect();
        Ok(Proof { sub: claims.sub, name, parties })
    }
}

/// In our words: the library's may quote what is in the token.
fn reason(error: jsonwebtoken::errors::Error) -> Unproved {
    Unproved::Bad(
        match error.kind() {
            ErrorKind::InvalidSignature => "its signature is wrong",
            ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => "it is not signed with HS256",
            ErrorKind::InvalidAudience => "it is for another audience",
            ErrorKind::InvalidIssuer => "it is by another issuer",
            ErrorKind::MissingRequiredClaim(_) => "`sub`, `exp`, or a configured `aud` or `iss` is missing",
            ErrorKind::Json(_) => "a claim is missing or of the wrong kind",
            _ => "it is no JWT",
        }
        .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{EncodingKey, Header, encode};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    const NOW: i64 = 1_800_000_000;

    fn identity() -> Identity {
        Identity { secret: Secret::new("demo-identity-secret-of-32-bytes!"), audience: None, issuer: None }
    }

    fn signed(algorithm: Algorithm, key: &[u8], claims: &Value) -> String {
        encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(key)).unwrap()
    }

    fn token(claims: &Value) -> String {
        signed(Algorithm::HS256, identity().secret.expose(), claims)
    }

    fn prove(identity: &Identity, token: &str) -> Result<Proof, Unproved> {
        identity.prove(token, Some("UA".parse().unwrap()), Timestamp::from_second(NOW).unwrap())
    }

    #[test]
    fn a_good_token_proves_who_and_what() {
        let proof = prove(
            &identity(),
            &token(
                &json!({"sub": "42", "exp": NOW + 60, "email": "Olena@Client.Example", "phone": "0441234567",
                           "name": " Олена\n", "role": "x"}),
            ),
        )
        .unwrap();
        assert_eq!((proof.sub.as_str(), proof.name.as_deref()), ("42", Some("Олена")));
        let values: Vec<_> = proof.parties.iter().filter_map(|party| party.value.as_deref()).collect();
        assert_eq!(values, ["olena@client.example", "+380441234567"]);
        let proof =
            prove(&identity(), &token(&json!({"sub": "42", "exp": NOW, "email": "none", "phone": ""})))
                .unwrap();
        assert_eq!(proof.parties, [], "what is no address proves nothing");
    }

    #[test]
    fn time_has_thirty_seconds_of_leeway() {
        let at = |exp: f64| prove(&identity(), &token(&json!({"sub": "1", "exp": exp})));
        assert!(at(NOW as f64 - 29.5).is_ok());
        assert_eq!(at(NOW as f64 - 30.0), Err(Unproved::Expired));
        assert!(at(-1e300).is_err() && at(1e300).is_err(), "such a time is none");
        let from = |nbf: i64| prove(&identity(), &token(&json!({"sub": "1", "exp": NOW + 60, "nbf": nbf})));
        assert!(from(NOW + 30).is_ok());
        assert!(matches!(from(NOW + 31), Err(Unproved::Bad(_))));
    }

    #[test]
    fn only_hs256_by_our_key_is_a_signature() {
        let claims = json!({"sub": "42", "exp": NOW + 60});
        let good = token(&claims);
        let parts: Vec<&str> = good.split('.').collect();
        let none = {
            use base64::Engine as _;
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#)
        };
        let other = token(&json!({"sub": "43", "exp": NOW + 60}));
        let forged = [
            signed(Algorithm::HS256, b"another key", &claims),
            signed(Algorithm::HS512, identity().secret.expose(), &claims),
            format!("{none}.{}.", parts[1]),
            format!("{none}.{}.{}", parts[1], parts[2]),
            format!("{}.{}.{}", parts[0], other.split('.').nth(1).unwrap(), parts[2]),
            format!("{}.{}.", parts[0], parts[1]),
            format!("{}.{}", parts[0], parts[1]),
            format!("{good}.x"),
            format!("{good}{}", "A".repeat(LONGEST)),
            String::new(),
            "..".into(),
        ];
        assert!(prove(&identity(), &good).is_ok());
        for token in forged {
            assert!(matches!(prove(&identity(), &token), Err(Unproved::Bad(_))), "{token:.80}");
        }
    }

    #[test]
    fn what_is_required_must_be_there() {
        for claims in [
            json!({"exp": NOW + 60}),
            json!({"sub": "42"}),
            json!({"sub": "", "exp": NOW + 60}),
            json!({"sub": "x".repeat(256), "exp": NOW + 60}),
            json!({"sub": 42, "exp": NOW + 60}),
            json!({"sub": "42", "exp": "soon"}),
            json!({"sub": "42", "exp": NOW + 60, "email": 7}),
        ] {
            assert!(matches!(prove(&identity(), &token(&claims)), Err(Unproved::Bad(_))), "{claims}");
        }
        let strict = Identity { audience: Some("desk".into()), issuer: Some("shop".into()), ..identity() };
        let base = json!({"sub": "42", "exp": NOW + 60, "aud": "desk", "iss": "shop"});
        assert!(prove(&strict, &token(&base)).is_ok());
        assert!(prove(&identity(), &token(&base)).is_ok(), "not checked where not configured");
        for (claim, value) in
            [("aud", json!("other")), ("aud", Value::Null), ("iss", json!("other")), ("iss", Value::Null)]
        {
            let mut claims = base.clone();
            match value {
                Value::Null => _ = claims.as_object_mut().unwrap().remove(claim),
                value => claims[claim] = value,
            }
            assert!(matches!(prove(&strict, &token(&claims)), Err(Unproved::Bad(_))), "{claims}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_a_token(text in ".{0,200}", dots in "[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}") {
            prop_assert!(prove(&identity(), &text).is_err());
            prop_assert!(prove(&identity(), &dots).is_err());
        }
    }
}
