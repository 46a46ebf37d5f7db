//! Which fields an update changes.

use crate::error::{FieldViolations, IssuerError};

/// A field that can be changed, and how it is taken over.
pub(super) type Field<T> = (&'static str, fn(target: &mut T, wanted: &T));

/// The fields of a message by their names, each taken over whole; and those of messages within it, each by itself.
macro_rules! fields {
    ($($field:ident),* $(,)? $(; $message:ident { $($inner:ident),* })* $(;)?) => {
        [
            $((stringify!($field), |target, wanted| {
                target.$field.clone_from(&wanted.$field);
            }),)*
            $($((concat!(stringify!($message), ".", stringify!($inner)), |target, wanted| {
                let wanted = wanted.$message.clone().unwrap_or_default();
                target.$message.get_or_insert_default().$inner = wanted.$inner;
            }),)*)*
        ]
    };
}
pub(super) use fields;

/// Takes over the fields that a mask names.
///
/// # Errors
/// [`IssuerError::Invalid`] for an empty mask and for every path that is not a field that can be changed.
pub(super) fn apply<T>(fields: &[Field<T>], paths: &[String], target: &mut T, wanted: &T) -> Result<(), IssuerError> {
    let names = || {
        fields
            .iter()
            .map(|(name, _)| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut violations = FieldViolations::new();
    if paths.is_empty() {
        violations.push("update_mask", format!("must name at least one of {}", names()));
    }
    if paths.len() > 64 {
        return Err(IssuerError::invalid_field("update_mask", "must name at most 64 fields"));
    }
    for (index, path) in paths.iter().enumerate() {
        match fields.iter().find(|(name, _)| name == path) {
            Some((_, take_over)) => take_over(target, wanted),
            None => violations.push(
                format!("update_mask.paths[{index}]"),
                format!("must be one of {}", names()),
            ),
        }
    }
    violations.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: [Field<(u8, u8)>; 2] = [
        ("left", |it, wanted| it.0 = wanted.0),
        ("right", |it, wanted| it.1 = wanted.1),
    ];

    fn update(paths: &[&str]) -> Result<(u8, u8), Vec<String>> {
        let paths: Vec<_> = paths.iter().map(|path| (*path).to_owned()).collect();
        let mut target = (0, 0);
        match apply(&FIELDS, &paths, &mut target, &(1, 2)) {
            Ok(()) => Ok(target),
            Err(IssuerError::Invalid { violations, .. }) => Err(violations.into_iter().map(|one| one.field).collect()),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn only_what_is_named_changes() {
        assert_eq!(update(&["left"]), Ok((1, 0)));
        assert_eq!(update(&["right", "left", "right"]), Ok((1, 2)));
    }

    #[test]
    fn nothing_named_and_anything_unknown_are_refused() {
        assert_eq!(update(&[]), Err(vec!["update_mask".to_owned()]));
        let both = vec!["update_mask.paths[0]".to_owned(), "update_mask.paths[2]".to_owned()];
        assert_eq!(update(&["*", "left", "source"]), Err(both));
        assert_eq!(update(&["left"; 65]), Err(vec!["update_mask".to_owned()]));
    }
}
