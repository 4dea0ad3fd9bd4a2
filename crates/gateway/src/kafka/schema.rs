//! `schema!`: a message file reads like Kafka's own JSON definitions and becomes structs with a reader, a writer and
//! defaults. It knows layouts, not meanings.
//!
//! ```text
//! schema! {
//!     versions 4..=18, flexible 12..;          // or `flexible none`
//!
//!     /// What the request is.
//!     pub struct FetchRequest {
//!         /// What the field is.
//!         rack_id: String, versions 11.., nullable 12.., tag 0, default X, ignorable true;
//!     }
//! }
//! ```
//!
//! Everything after the type is optional, in this order. Without `versions` a field is in all of them. An `Option` is
//! nullable in all versions of the field unless `nullable` says otherwise. `tag` makes it a tagged field (KIP-482);
//! tags ascend. `default` is the value of a field that is not there. A field that is set but not in the version that
//! is written is an error, unless it is `ignorable`.

/// The Rust structs of one API. See the module.
macro_rules! schema {
    (versions $from:literal ..= $to:literal, flexible none; $($structs:tt)*) => {
        $crate::kafka::schema::schema_structs! { [$from ..= $to, None] $($structs)* }
    };
    (versions $from:literal ..= $to:literal, flexible $flexible:literal ..; $($structs:tt)*) => {
        $crate::kafka::schema::schema_structs! { [$from ..= $to, Some($flexible)] $($structs)* }
    };
}

/// Takes the structs of a schema apart: each gets its Rust form and the versions of its API.
macro_rules! schema_structs {
    ([$versions:expr, $flexible:expr] $($(#[$doc:meta])* pub struct $name:ident { $($fields:tt)* })+) => {$(
        $crate::kafka::schema::schema_struct! { $(#[$doc])* $name { $($fields)* } }

        impl $crate::kafka::wire::Structure for $name {
            const VERSIONS: std::ops::RangeInclusive<i16> = $versions;
            const FLEXIBLE_FROM: Option<i16> = $flexible;
        }
    )+};
}

/// One struct: its definition, its default, its reader and its writer.
macro_rules! schema_struct {
    ($(#[$doc:meta])* $name:ident { $(
        $(#[$field_doc:meta])*
        $field:ident: $type:ty
            $(, versions $versions:expr)?
            $(, nullable $nullable:expr)?
            $(, tag $tag:literal)?
            $(, default $default:expr)?
            $(, ignorable $ignorable:literal)?;
    )* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        const _: () = {
            use $crate::kafka::schema::schema_field;
            use $crate::kafka::wire::*;

            impl Default for $name {
                fn default() -> Self {
                    $name { $($field: schema_field!(default $($default)?),)* }
                }
            }

            impl Wire for $name {
                fn bytes_min(layout: Layout) -> usize {
                    let mut bytes_min = usize::from(layout.flexible);
                    $(if schema_field!(plain $($tag)?) && schema_field!(in layout $(, $versions)?) {
                        bytes_min += <$type as Wire>::bytes_min(layout);
                    })*
                    bytes_min
                }

                fn read(reader: &mut Reader, layout: Layout) -> Result<Self, DecodeError> {
                    let mut message = $name::default();
                    $(if schema_field!(plain $($tag)?) && schema_field!(in layout $(, $versions)?) {
                        message.$field = <$type as Wire>::read(reader, layout)
                            .map_err(|error| error.at(stringify!($field)))?;
                        $(if message.$field.is_none() && !($nullable).contains(&layout.version) {
                            let fault = DecodeFault::UnexpectedNull;
                            return Err(DecodeError::from(fault).at(stringify!($field)));
                        })?
                    })*
                    if layout.flexible {
                        read_tagged(reader, |tag, _reader| {
                            $(schema_field!(tagged [$($tag)?] {
                                if tag == schema_field!(tag $($tag)?) && schema_field!(in layout $(, $versions)?) {
                                    message.$field = <$type as Wire>::read(_reader, layout)
                                        .map_err(|error| error.at(stringify!($field)))?;
                                    return Ok(true);
                                }
                            });)*
                            let _ = tag;
                            Ok(false)
                        })?;
                    }
                    Ok(message)
                }

                fn write(&self, writer: &mut Writer, layout: Layout) -> Result<(), EncodeError> {
                    $(if !schema_field!(in layout $(, $versions)?) {
                        let is_default = schema_field!(ignorable $($ignorable)?)
                            || self.$field == schema_field!(typed $type $(, $default)?);
                        if !is_default {
                            let fault = EncodeFault::NotInVersion(layout.version);
                            return Err(EncodeError::from(fault).at(stringify!($field)));
                        }
                    } else if schema_field!(plain $($tag)?) {
                        $(if self.$field.is_none() && !($nullable).contains(&layout.version) {
                            let fault = EncodeFault::UnexpectedNull;
                            return Err(EncodeError::from(fault).at(stringify!($field)));
                        })?
                        Wire::write(&self.$field, writer, layout)
                            .map_err(|error| error.at(stringify!($field)))?;
                    })*
                    if layout.flexible {
                        #[allow(unused_mut)]
                        let mut tagged = TaggedFields::default();
                        $(schema_field!(tagged [$($tag)?] {
                            if schema_field!(in layout $(, $versions)?)
                                && self.$field != schema_field!(typed $type $(, $default)?)
                            {
                                tagged
                                    .add(schema_field!(tag $($tag)?), &self.$field, layout)
                                    .map_err(|error| error.at(stringify!($field)))?;
                            }
                        });)*
                        tagged.write(writer);
                    }
                    Ok(())
                }

                #[cfg(feature = "samples")]
                fn sample(sampler: &mut sample::Sampler, layout: Layout) -> Self {
                    let mut message = $name::default();
                    $(if schema_field!(in layout $(, $versions)?) {
                        message.$field = Wire::sample(sampler, layout);
                        $(if message.$field.is_none() && !($nullable).contains(&layout.version) {
                            message.$field = Some(Default::default());
                        })?
                    })*
                    message
                }
            }
        };
    };
}

/// What one field says, or what it means that it does not say it.
macro_rules! schema_field {
    (default) => {
        Default::default()
    };
    (default $default:expr) => {
        $default
    };
    (typed $type:ty) => {
        <$type>::default()
    };
    (typed $type:ty, $default:expr) => {{
        let default: $type = $default;
        default
    }};
    (tag $tag:literal) => {
        $tag
    };
    (tagged [] $code:block) => {};
    (tagged [$tag:literal] $code:block) => {
        $code
    };
    (plain) => {
        true
    };
    (plain $tag:literal) => {
        false
    };
    (ignorable) => {
        false
    };
    (ignorable $ignorable:literal) => {
        $ignorable
    };
    (in $layout:ident) => {
        true
    };
    (in $layout:ident, $versions:expr) => {
        ($versions).contains(&$layout.version)
    };
}

pub(in crate::kafka) use {schema, schema_field, schema_struct, schema_structs};
