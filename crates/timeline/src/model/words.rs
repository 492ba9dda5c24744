//! How a closed set of words is told to a reader, a store and the log alike.

macro_rules! words {
    ($(#[$doc:meta])* $Name:ident, $noun:literal { $($(#[$vdoc:meta])* $Variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $Name { $($(#[$vdoc])* #[serde(rename = $word)] $Variant),+ }

        impl $Name {
            pub const ALL: &[$Name] = &[$($Name::$Variant),+];

            pub fn as_str(self) -> &'static str {
                match self { $($Name::$Variant => $word),+ }
            }
        }

        impl std::fmt::Display for $Name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $Name {
            type Err = contact::Invalid;
            fn from_str(text: &str) -> Result<Self, contact::Invalid> {
                Self::ALL.iter().copied().find(|word| word.as_str() == text).ok_or_else(|| {
                    contact::Invalid(format!(concat!("`{}` is no ", $noun, "; it is one of ", $($word, " "),+), text).trim_end().to_owned())
                })
            }
        }
    };
}
