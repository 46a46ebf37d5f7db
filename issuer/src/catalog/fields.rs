//! Reads the fields of a mapping, and tells of each that is wrong instead of stopping at the first.

use std::collections::{HashMap, HashSet};

use super::errors::CatalogErrors;
use super::yaml::{Node, Value};

/// A mapping whose fields are taken out one by one; what is left at the end is unknown.
pub(super) struct Fields<'a> {
    path: String,
    line: Option<u64>,
    left: Vec<(String, Node)>,
    places: Places,
    errors: &'a mut CatalogErrors,
}

/// Where the fields of an entry stand, and which of them are known to be wrong already.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) line: Option<u64>,
    pub(super) lines: HashMap<String, u64>,
    pub(super) wrong: HashSet<String>,
}

impl<'a> Fields<'a> {
    /// Opens a mapping; `None`, and an error, for anything else.
    pub(super) fn open(path: String, node: Node, errors: &'a mut CatalogErrors) -> Option<Self> {
        let Value::Map(entries) = node.value else {
            errors.push(path, node.line, "must be a mapping of fields");
            return None;
        };
        let mut places = Places {
            line: node.line,
            ..Places::default()
        };
        let mut left: Vec<(String, Node)> = Vec::new();
        for (name, field) in entries {
            if let Some(line) = field.line {
                places.lines.entry(name.clone()).or_insert(line);
            }
            if left.iter().any(|(earlier, _)| *earlier == name) {
                errors.push(join(&path, &name), field.line, "is there twice");
            } else {
                left.push((name, field));
            }
        }
        Some(Self {
            path,
            line: node.line,
            left,
            places,
            errors,
        })
    }

    /// A text; empty where there is none.
    pub(super) fn text(&mut self, name: &str) -> String {
        let Some(node) = self.take(name) else {
            return String::new();
        };
        match node.value {
            Value::Text(text) => text,
            other => {
                self.wrong(name, "", node.line, text_problem(&other));
                String::new()
            }
        }
    }

    /// A number; 0 where there is none.
    pub(super) fn number(&mut self, name: &str) -> u32 {
        self.optional_number(name).unwrap_or_default()
    }

    /// A number, where 0 is something else than none.
    pub(super) fn optional_number(&mut self, name: &str) -> Option<u32> {
        let node = self.take(name)?;
        if let Value::Number(number) = node.value {
            return Some(u32::try_from(number).unwrap_or(u32::MAX));
        }
        self.wrong(name, "", node.line, "must be a whole number, not negative");
        None
    }

    /// Yes or no; no where there is none.
    pub(super) fn flag(&mut self, name: &str) -> bool {
        let Some(node) = self.take(name) else { return false };
        if let Value::Flag(flag) = node.value {
            return flag;
        }
        self.wrong(name, "", node.line, "must be true or false");
        false
    }

    /// One of some words, as what it stands for; 0 where there is none.
    pub(super) fn word(&mut self, name: &str, words: &[(&str, i32)]) -> i32 {
        let Some(node) = self.take(name) else { return 0 };
        let found = number_of(&node.value, words);
        if found.is_none() {
            self.wrong(name, "", node.line, one_of(words));
        }
        found.unwrap_or_default()
    }

    /// A list of words.
    pub(super) fn words(&mut self, name: &str, words: &[(&str, i32)]) -> Vec<i32> {
        let mut found = Vec::new();
        for (index, node) in self.list(name).into_iter().enumerate() {
            match number_of(&node.value, words) {
                Some(number) => found.push(number),
                None => self.wrong(name, &format!("[{index}]"), node.line, one_of(words)),
            }
        }
        found
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, name: &str) -> Vec<String> {
        let mut found = Vec::new();
        for (index, node) in self.list(name).into_iter().enumerate() {
            match node.value {
                Value::Text(text) => found.push(text),
                other => self.wrong(name, &format!("[{index}]"), node.line, text_problem(&other)),
            }
        }
        found
    }

    /// A mapping of names to texts.
    pub(super) fn text_map(&mut self, name: &str) -> HashMap<String, String> {
        let Some(node) = self.take(name) else {
            return HashMap::new();
        };
        let Value::Map(entries) = node.value else {
            self.wrong(name, "", node.line, "must be a mapping of names to texts");
            return HashMap::new();
        };
        let mut found = HashMap::new();
        for (key, node) in entries {
            let place = format!(".{}", shown(&key));
            match node.value {
                Value::Text(text) if found.contains_key(&key) => {
                    drop(text);
                    self.wrong(name, &place, node.line, "is there twice");
                }
                Value::Text(text) => {
                    found.insert(key, text);
                }
                other => self.wrong(name, &place, node.line, text_problem(&other)),
            }
        }
        found
    }

    /// A list of anything.
    pub(super) fn list(&mut self, name: &str) -> Vec<Node> {
        let Some(node) = self.take(name) else { return Vec::new() };
        if let Value::List(members) = node.value {
            return members;
        }
        self.wrong(name, "", node.line, "must be a list; `[]` is an empty one");
        Vec::new()
    }

    /// Takes a field out, as it is.
    pub(super) fn take(&mut self, name: &str) -> Option<Node> {
        let index = self.left.iter().position(|(found, _)| found == name)?;
        Some(self.left.swap_remove(index).1)
    }

    /// The path of a field.
    pub(super) fn path_of(&self, name: &str) -> String {
        join(&self.path, name)
    }

    /// Tells that a field, or a place within it, is wrong.
    pub(super) fn wrong(&mut self, name: &str, within: &str, line: Option<u64>, problem: impl Into<String>) {
        self.places.wrong.insert(name.to_owned());
        let line = line.or(self.line);
        self.errors
            .push(format!("{}{within}", join(&self.path, name)), line, problem);
    }

    /// Where a nested mapping may tell of its errors. The field then counts as wrong if there were any.
    pub(super) fn nested<T>(&mut self, name: &str, read: impl FnOnce(String, &mut CatalogErrors) -> T) -> T {
        let before = self.errors.0.len();
        let path = self.path_of(name);
        let found = read(path, self.errors);
        if self.errors.0.len() > before {
            self.places.wrong.insert(name.to_owned());
        }
        found
    }

    /// Tells of every field that nobody took.
    pub(super) fn finish(mut self) -> Places {
        let mut left = std::mem::take(&mut self.left);
        left.sort_by_key(|(_, node)| node.line);
        for (name, node) in left {
            self.errors
                .push(join(&self.path, &name), node.line, unknown_problem(&name));
        }
        self.places
    }
}

fn number_of(value: &Value, words: &[(&str, i32)]) -> Option<i32> {
    let Value::Text(text) = value else { return None };
    words.iter().find(|(word, _)| word == text).map(|(_, number)| *number)
}

fn one_of(words: &[(&str, i32)]) -> String {
    let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
    format!("must be one of {}", words.join(", "))
}

fn text_problem(value: &Value) -> &'static str {
    match value {
        Value::Number(_) | Value::OtherNumber | Value::Flag(_) | Value::Null => "must be text: put it in quotes",
        Value::Text(_) | Value::List(_) | Value::Map(_) => "must be text",
    }
}

fn unknown_problem(name: &str) -> &'static str {
    match name {
        "client_secret" | "resource_secret" | "secret" | "secrets" => {
            "a secret does not belong in this file: `secret_sha256` takes its digest, and `tokenbind app secret` makes both"
        }
        "password" | "passwords" => {
            "a password does not belong in this file: `password_hash` takes its hash, which `tokenbind user hash-password` makes"
        }
        _ => "is not a known field",
    }
}

/// The path of a field of the thing at `path`.
fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        shown(name)
    } else {
        format!("{path}.{}", shown(name))
    }
}

/// A name as it can stand in a path: anything unusual quoted, anything long cut.
fn shown(name: &str) -> String {
    let usual = |character: char| character.is_ascii_alphanumeric() || character == '_' || character == '-';
    if name.len() <= 64 && !name.is_empty() && name.chars().all(usual) {
        return name.to_owned();
    }
    let cut: String = name.chars().take(64).collect();
    format!("{cut:?}")
}
