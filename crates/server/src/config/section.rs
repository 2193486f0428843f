//! A section of the settings: with every field, and with only those that somebody has set.

/// Makes a section `$Whole` with its defaults, and `$Partial` of which every field may be missing.
macro_rules! section {
    (
        $(#[$doc:meta])*
        $Whole:ident, $Partial:ident {
            $($(#[$field_doc:meta])* $field:ident: $type:ty = $default:expr;)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize)]
        pub struct $Whole {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        /// What one place says of a section.
        #[derive(Clone, Debug, Default, PartialEq, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $Partial {
            $($(#[$field_doc])* pub $field: Option<$type>,)*
        }

        impl Default for $Whole {
            fn default() -> $Whole {
                $Whole { $($field: $default,)* }
            }
        }

        impl $Partial {
            /// What this place says, else what `other` says.
            #[must_use]
            pub fn or(self, other: $Partial) -> $Partial {
                $Partial { $($field: self.$field.or(other.$field),)* }
            }

            /// The whole section, with the defaults of what nobody has set.
            pub fn or_default(self) -> $Whole {
                let default = $Whole::default();
                $Whole { $($field: self.$field.unwrap_or(default.$field),)* }
            }
        }
    };
}

pub(crate) use section;
