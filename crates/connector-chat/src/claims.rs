//! What a visitor typed about themselves: read, and believed by nobody.

use connector::number::Region;
use contact::{IdentifierKind, Party};

use crate::address;
use crate::frame::{self, Claims, Code, Fault};

/// The parties that a visitor claims to be. A name alone is a name of `visitor`, the visitor's identifier.
pub(crate) fn parties(claims: &Claims, visitor: &str, region: Option<Region>) -> Result<Vec<Party>, Fault> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    let name = given(&claims.name).map(|name| frame::clean(&name, address::LONGEST_NAME));
    let name = name.filter(|name| !name.is_empty());
    let email = given(&claims.email).map(|raw| ("email", address::email(&raw, name.clone())));
    let phone = given(&claims.phone).map(|raw| ("phone", address::phone(&raw, name.clone(), region)));
    let mut parties = Vec::new();
    for (field, party) in email.into_iter().chain(phone) {
        if party.value.is_none() {
            let detail = format!("the {field} given is none that we could reach");
            return Err(Fault { field: Some(field), ..Fault::new(Code::BadClaim, detail) });
        }
        parties.push(party);
    }
    if let (true, Some(_)) = (parties.is_empty(), &name) {
        let (kind, value) = (IdentifierKind::Visitor, Some(visitor.to_owned()));
        parties.push(Party { kind, value, raw: visitor.to_owned(), name });
    }
    if parties.is_empty() {
        return Err(Fault::new(Code::BadClaim, "it says nothing: email, phone and name are empty"));
    }
    Ok(parties)
}
